"""Read what `terraform show -json PLANFILE` prints.

The format: https://developer.hashicorp.com/terraform/internals/json-format (major version 1 since Terraform 1.1.0;
OpenTofu prints the same). Within a major version members are only added, so unknown ones are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from plans.change import EMPTY, NOTHING, Action, Change, Json, OutputChange, Planned, StackPlan, differ
from user_data.node_config import TAG_DEPLOYMENT, TAG_STACK

FORMAT: Final = "1"
MASKED = "(sensitive)"
ACTIONS: Mapping[tuple[str, ...], Action] = {
    ("create",): Action.CREATE,
    ("update",): Action.CHANGE,
    ("delete",): Action.DESTROY,
    ("forget",): Action.FORGET,
    ("delete", "create"): Action.REPLACE,
    ("create", "delete"): Action.REPLACE,
    ("create", "forget"): Action.REPLACE,
}
NEW_FIRST = (("create", "delete"), ("create", "forget"))


class BadPlanError(Exception):
    """What was given is no plan that can be reviewed; the message says what it is and what to do."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Delta(_Model):
    actions: tuple[str, ...]
    before: JsonValue = None
    after: JsonValue = None
    after_unknown: JsonValue = None
    before_sensitive: JsonValue = None
    after_sensitive: JsonValue = None
    replace_paths: tuple[tuple[str | int, ...], ...] = ()


class _Resource(_Model):
    address: str
    type: str
    mode: str = "managed"
    change: _Delta


class _Constant(_Model):
    constant_value: JsonValue = None


class _Expressions(_Model):
    region: _Constant = _Constant()
    default_tags: tuple[dict[str, _Constant], ...] = ()


class _Provider(_Model):
    expressions: _Expressions = _Expressions()


class _Configuration(_Model):
    provider_config: dict[str, _Provider] = Field(default_factory=dict)


class _Document(_Model):
    format_version: str
    terraform_version: str = ""
    resource_changes: tuple[_Resource, ...] = ()
    resource_drift: tuple[_Resource, ...] = ()
    output_changes: dict[str, _Delta] = Field(default_factory=dict)
    configuration: _Configuration = _Configuration()
    errored: bool = False


def read_plan(text: str | bytes, source: str, *, on_placeholders: bool = False) -> StackPlan:
    """Read one plan.

    Args:
        text: what Terraform printed.
        source: how messages name it, and the stack too when the plan does not say.
        on_placeholders: see `StackPlan`.

    Raises:
        BadPlanError: it is not JSON, not a plan, of another format version, or of a run that failed.
    """
    document = _parse(text, source)
    tags, region = _provider(document)
    resources = [item for item in document.resource_changes if item.mode == "managed"]
    return StackPlan(
        stack=tags.get(TAG_STACK) or source,
        deployment=tags.get(TAG_DEPLOYMENT, ""),
        region=region,
        changes=tuple(_change(item) for item in resources if item.change.actions != ("no-op",)),
        unchanged=sum(item.change.actions == ("no-op",) for item in resources),
        outputs=_outputs(document),
        drifted=tuple(_change(item) for item in document.resource_drift if _is_drift(item)),
        tool_version=document.terraform_version,
        on_placeholders=on_placeholders,
        everything=tuple(_planned(item) for item in resources if isinstance(item.change.after, dict)),
        deployed=tuple(_deployed(item) for item in resources if isinstance(item.change.before, dict)),
    )


def _parse(text: str | bytes, source: str) -> _Document:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadPlanError(
            f"{source}: neither a plan file nor JSON ({error}); give what `terraform plan -out=FILE` wrote, or what "
            "`terraform show -json FILE` prints"
        ) from None
    _check_kind(content, source)
    try:
        document = _Document.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadPlanError(
            f"{source}: is no plan that can be read: {place}: {first['msg'].lower()}; make it again with "
            "`terraform show -json FILE`"
        ) from None
    if document.errored:
        raise BadPlanError(f"{source}: Terraform failed while it planned, so the plan is not whole; mend that first")
    return document


def _check_kind(content: object, source: str) -> None:
    """Tell a plan from the other things that Terraform prints as JSON."""
    remedy = "give what `terraform show -json PLANFILE` prints"
    if not isinstance(content, dict) or not isinstance(content.get("format_version"), str):
        raise BadPlanError(f"{source}: is JSON, but not of a Terraform plan (no format_version); {remedy}")
    version = content["format_version"]
    if version.partition(".")[0] != FORMAT:
        raise BadPlanError(
            f"{source}: is of plan format {version}, and {FORMAT}.x can be read; use Terraform or "
            "OpenTofu 1.10 or later"
        )
    if "resource_changes" not in content and "output_changes" not in content and "planned_values" not in content:
        raise BadPlanError(f"{source}: holds no plan (a state?); {remedy}")


def _provider(document: _Document) -> tuple[dict[str, str], str]:
    """Tags that every resource of the stack gets, and the region."""
    tags: dict[str, str] = {}
    region = ""
    for provider in document.configuration.provider_config.values():
        region = region or str(provider.expressions.region.constant_value or "")
        for block in provider.expressions.default_tags:
            found = block["tags"].constant_value if "tags" in block else None
            tags |= {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    return tags, region


def _change(item: _Resource) -> Change:
    delta = item.change
    action = ACTIONS.get(delta.actions)
    if action is None:
        raise BadPlanError(f"{item.address}: the plan does {'/'.join(delta.actions)}, which this program does not know")
    return Change(
        address=item.address,
        kind=item.type,
        action=action,
        before=_attributes(delta.before, delta.before_sensitive),
        after=_attributes(delta.after, delta.after_sensitive),
        unknown=_unknown(delta.after_unknown),
        forced_by=tuple(sorted({str(path[0]) for path in delta.replace_paths if path})),
        new_first=delta.actions in NEW_FIRST,
    )


def _planned(item: _Resource) -> Planned:
    delta = item.change
    values = _attributes(delta.after, delta.after_sensitive)
    return Planned(item.address, item.type, values, _unknown(delta.after_unknown))


def _deployed(item: _Resource) -> Planned:
    return Planned(item.address, item.type, _attributes(item.change.before, item.change.before_sensitive))


def _attributes(value: Json, sensitive: Json) -> Mapping[str, Json]:
    masked = _mask(value, sensitive)
    return masked if isinstance(masked, dict) else NOTHING


def _mask(value: Json, sensitive: Json) -> Json:
    """The value with what the provider marks as secret replaced."""
    if sensitive is True and value is not None:
        return MASKED
    if isinstance(value, dict) and isinstance(sensitive, dict):
        return {name: _mask(item, sensitive.get(name)) for name, item in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        marks = [*sensitive, *[None] * (len(value) - len(sensitive))]
        return [_mask(item, mark) for item, mark in zip(value, marks, strict=False)]
    return value


def _unknown(marks: Json) -> frozenset[str]:
    """Attributes of which something is known only after an apply."""
    if not isinstance(marks, dict):
        return frozenset()
    return frozenset(name for name, mark in marks.items() if _any_true(mark))


def _any_true(mark: Json) -> bool:
    if isinstance(mark, dict):
        return any(_any_true(item) for item in mark.values())
    if isinstance(mark, list):
        return any(_any_true(item) for item in mark)
    return mark is True


def _outputs(document: _Document) -> tuple[OutputChange, ...]:
    return tuple(
        OutputChange(
            name=name,
            before=_mask(delta.before, delta.before_sensitive),
            after=_mask(delta.after, delta.after_sensitive),
            unknown=_any_true(delta.after_unknown),
        )
        for name, delta in sorted(document.output_changes.items())
        if delta.actions != ("no-op",)
    )


def _is_drift(item: _Resource) -> bool:
    """Whether somebody changed it.

    Terraform also lists what a provider could not know when it wrote the state: an empty attribute that reads back as
    another empty one, or as what another resource of the same plan put there (rules in a group, policies in a role).
    So only what had a value counts.
    """
    before, after = item.change.before, item.change.after
    if item.mode != "managed" or item.change.actions not in ACTIONS:
        return False
    if not isinstance(before, dict) or not isinstance(after, dict):
        return True
    names = before.keys() | after.keys()
    return any(before.get(name) not in EMPTY and differ(before.get(name), after.get(name)) for name in names)
