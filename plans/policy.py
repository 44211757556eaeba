"""Rules of this project over what a plan leaves behind, changed or not: pure. checkov's come from `plans/checkov.py`.

What is known only after an apply is no finding: nobody can say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from plans.change import Json, Planned, StackPlan, inner
from plans.sections import PlainSection, Problem
from user_data.node_config import TAG_DEPLOYMENT, TAG_STACK

ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})
POLICIES = frozenset({"aws_iam_policy", "aws_iam_role_policy", "aws_s3_bucket_policy", "aws_sns_topic_policy"})
HOSTS = frozenset({"aws_instance", "aws_launch_template"})


@dataclass(frozen=True)
class Finding:
    """A rule that a resource breaks, and what to do."""

    stack: str
    address: str
    rule: str
    remedy: str

    @property
    def problem(self) -> Problem:
        """As the summary shows it."""
        return Problem(f"{self.stack} {self.address}", f"{self.rule}; {self.remedy}")


def findings(plans: Iterable[StackPlan], open_on_purpose: Collection[str] = ()) -> tuple[Finding, ...]:
    """Judge plans.

    Args:
        plans: of all stacks.
        open_on_purpose: CIDR blocks that the settings let in by name.
    """
    return tuple(
        Finding(plan.stack, item.address, rule, remedy)
        for plan in plans
        for item in plan.everything
        for rule, remedy in _broken(item, open_on_purpose)
    )


def policy_section(found: Iterable[Finding], more: Iterable[Problem] = (), notes: Iterable[str] = ()) -> PlainSection:
    """The section with own findings and those of other programs."""
    problems = (*(finding.problem for finding in found), *more)
    lines = () if problems else ("nothing found",)
    told: list[Json] = [{"where": problem.where, "text": problem.text} for problem in problems]
    return PlainSection("Policy", (*lines, *notes), (), problems, {"findings": told})


Broken = Iterator[tuple[str, str]]


def _broken(item: Planned, open_on_purpose: Collection[str]) -> Broken:
    yield from _open(item, open_on_purpose)
    for rule in RULES:
        yield from rule(item)


def _open(item: Planned, on_purpose: Collection[str]) -> Broken:
    """Ways in from the whole internet."""
    for block in sorted(set(_ways_in(item)) & ANYWHERE - set(on_purpose)):
        yield f"lets {block} in", "name the networks of your clients in access.allowed_cidrs"


def _ways_in(item: Planned) -> Iterator[str]:
    values = item.values
    if item.kind == "aws_vpc_security_group_ingress_rule":
        yield from (str(values.get(name)) for name in ("cidr_ipv4", "cidr_ipv6"))
    elif item.kind == "aws_security_group_rule" and values.get("type") == "ingress":
        yield from _blocks(dict(values))
    elif item.kind in {"aws_security_group", "aws_default_security_group"}:
        rules = values.get("ingress")
        yield from (block for rule in rules or [] for block in _blocks(rule)) if isinstance(rules, list) else ()


def _blocks(rule: Json) -> Iterator[str]:
    for name in ("cidr_blocks", "ipv6_cidr_blocks"):
        found = inner(rule, name)
        yield from (str(block) for block in found) if isinstance(found, list) else ()


def _actions(item: Planned) -> Broken:
    """Policies that allow everything, or everybody."""
    text = item.values.get("policy")
    if item.kind not in POLICIES or not isinstance(text, str):
        return
    for statement in _statements(text):
        if inner(statement, "Effect") != "Allow":
            continue
        wide = [action for action in _texts(inner(statement, "Action")) if "*" in action]
        if wide:
            yield f"allows {', '.join(wide)}", "name the actions that are used"
        if inner(statement, "Principal") in ("*", {"AWS": "*"}) and not inner(statement, "Condition"):
            yield "lets everybody in", "name the principals"


def _statements(text: str) -> list[Json]:
    try:
        statements: Json = json.loads(text).get("Statement", [])
    except (ValueError, AttributeError):
        return []
    return statements if isinstance(statements, list) else [statements]


def _texts(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value or "")]


def _encryption(item: Planned) -> Broken:
    disks = {
        "aws_instance": ("root_block_device", "ebs_block_device"),
        "aws_launch_template": ("block_device_mappings",),
    }
    for name in disks.get(item.kind, ()):
        found = item.values.get(name)
        for disk in found if isinstance(found, list) else []:
            ebs = inner(disk, "ebs", 0) if item.kind == "aws_launch_template" else disk
            if ebs is not None and inner(ebs, "encrypted") not in (True, "true"):
                shown = inner(disk, "device_name") or name
                yield f"volume {shown} is not encrypted", "set encrypted"
    if item.kind == "aws_ebs_volume" and item.values.get("encrypted") is not True and "encrypted" not in item.unknown:
        yield "is not encrypted", "set encrypted"


def _metadata(item: Planned) -> Broken:
    """IMDSv2 only, and not through a proxy or container."""
    if item.kind not in HOSTS or "metadata_options" in item.unknown:
        return
    options = inner(item.values.get("metadata_options"), 0)
    if inner(options, "http_endpoint") == "disabled":
        return
    if inner(options, "http_tokens") != "required":
        yield "answers IMDSv1: credentials can be had without a token", "set http_tokens to required"
    if inner(options, "http_put_response_hop_limit") not in (1, None):
        yield "lets tokens travel over more than one hop", "set http_put_response_hop_limit to 1"


def _tags(item: Planned) -> Broken:
    tags = item.values.get("tags_all")
    if isinstance(tags, dict):
        missing = [tag for tag in (TAG_DEPLOYMENT, TAG_STACK) if tag not in tags]
        if missing:
            yield f"lacks the tag {' and '.join(missing)}", "a destroy could not tell that it is left"


def _retention(item: Planned) -> Broken:
    if item.kind == "aws_cloudwatch_log_group" and not item.values.get("retention_in_days"):
        yield "keeps lines for ever", "set logs.retention_days"


RULES: tuple[Callable[[Planned], Broken], ...] = (_actions, _encryption, _metadata, _tags, _retention)
