"""Overrides: one-line changes from the command line and the CDKTF context, put over a file's tables.

Values given as text are read by the type of what they address, so `max_size=4` is a number and `name=4` is text.
"""

from __future__ import annotations

import tomllib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from settings.engine_catalogue import engine_catalogue, spell
from settings.errors import Fault, FaultyValueError, join_path
from settings.override_keys import Target, target_of
from settings.schema import Node, node_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.toml_file import Raw

# Keys that cdktf itself puts into the context. Read in cdktf 0.21.0: lib/app.js, lib/annotations.js,
# lib/terraform-asset.js, lib/terraform-module-asset.js; the last two are flags that older `cdktf init` templates write.
CDKTF_CONTEXT_KEYS = frozenset(
    {
        "cdktfVersion",
        "cdktfJsonPath",
        "cdktfRelativeModules",
        "cdktfStaticModuleAssetHash",
        "@cdktf/disable_stack_trace_in_metadata",
        "excludeStackIdFromLogicalIds",
        "allowSepCharsInLogicalIds",
    }
)
ENVIRONMENT_KEY = "environment"
_LONGEST_NUMBER = 40  # no setting takes one as long


def merge_overrides(*sources: Mapping[str, object]) -> dict[str, object]:
    """Return all sources as one, the first given being the strongest.

    Later entries win where two spellings address one key, so the strongest source comes last.
    """
    merged: dict[str, object] = {}
    for source in reversed(sources):
        for key, value in source.items():
            merged.pop(key, None)
            merged[key] = value
    return merged


def overrides_from_context(context: Mapping[str, object]) -> dict[str, object]:
    """Return what a CDKTF context overrides: everything but cdktf's own keys and the pointer to the environment."""
    own = CDKTF_CONTEXT_KEYS | {ENVIRONMENT_KEY}
    return {key: value for key, value in context.items() if key not in own}


def parse_assignments(assignments: list[str]) -> dict[str, object]:
    """Return `key=value` words of a command line as overrides.

    Raises:
        FaultyValueError: a word has no `=` or no key.
    """
    overrides: dict[str, object] = {}
    for word in assignments:
        key, sign, value = word.partition("=")
        if not key.strip() or not sign:
            raise FaultyValueError(Fault("--set", word, "is not key=value", "write it like --set max_size=4"))
        overrides.pop(key.strip(), None)
        overrides[key.strip()] = value
    return overrides


def apply_overrides(raw: Raw, overrides: Mapping[str, object]) -> tuple[Raw, tuple[Fault, ...]]:
    """Put overrides into the tables, in their order; return the tables and a fault for each that addresses nothing."""
    faults: list[Fault] = []
    for key, value in overrides.items():
        try:
            target = target_of(key, _pool_names(raw))
            _put(raw, target, _read(target, value), key)
        except FaultyValueError as error:
            faults += [
                Fault(join_path(f"override {key}", fault.path), value, fault.rule, fault.remedy)
                for fault in error.faults
            ]
    return raw, tuple(faults)


def _pool_names(raw: Raw) -> list[str]:
    """Return the pools' names; without any in the file there is the default pool."""
    pools = raw.get("workers")
    if not isinstance(pools, list) or not pools:
        return ["default"]
    return [str(pool.get("name", "default")) if isinstance(pool, dict) else "" for pool in pools]


def _put(raw: Raw, target: Target, value: object, key: str) -> None:
    """Set the value; tables on the way are made, and other spellings of the same server argument are taken out."""
    here: Any = raw
    for part, below in pairwise(target):
        empty: object = [{}] if isinstance(below, int) else {}
        here = _step(here, part, empty, key)
    last = target[-1]
    if isinstance(here, list):
        _put_item(here, last, value, key)
    else:
        if target[2:3] == ("engine",):
            _drop_spellings(here, str(last))
        here[last] = value


def _step(here: Any, part: str | int, empty: object, key: str) -> Any:  # noqa: ANN401 - tables of any shape
    if isinstance(here, list):
        found = here[part] if isinstance(part, int) and part < len(here) else None
    else:
        found = here.setdefault(part, empty)
        # A file may hold `workers = []`, for which validation has its own sentence; the override still has its target.
        found = here[part] = empty if found == [] else found
    if not isinstance(found, dict | list):
        raise FaultyValueError(
            Fault("", key, f"goes through {part}, which is not a table", "mend that key in the file")
        )
    return found


def _put_item(items: list[object], index: str | int, value: object, key: str) -> None:
    if not isinstance(index, int) or index >= len(items):
        raise FaultyValueError(Fault("", key, f"is beyond the list's {len(items)} entries", "give the whole list"))
    items[index] = value


def _drop_spellings(table: dict[str, object], dest: str) -> None:
    spellings = engine_catalogue().spellings
    for name in [name for name in table if spellings.get(spell(name)) == dest]:
        del table[name]


def _read(target: Target, value: object) -> object:
    """Return text as the type that the target takes; text that is not of that type is left for validation to refuse."""
    if not isinstance(value, str):
        return value
    node = node_at(target)
    return value if node is None else _parse(node, value)


def _parse(node: Node, text: str) -> object:
    kinds = _kinds(node)
    if "string" in kinds and not kinds & {"array", "object"}:
        number = _number(text, kinds) if "integer" in kinds else None
        return text if number is None else number
    if "boolean" in kinds:
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if kinds & {"integer", "number"}:
        number = _number(text, kinds)
        return text if number is None else number
    if "array" in kinds and "string" not in kinds:
        return _list(node, text)
    return text


def _kinds(node: Node) -> set[str]:
    """Return the JSON types that a place takes; choices without a type show theirs."""
    if "type" not in node:
        return {"integer" if isinstance(choice, int) else "string" for choice in node.get("enum", ())}
    kinds = node["type"]
    return set(kinds) if isinstance(kinds, list) else {kinds}


def _number(text: str, kinds: set[str]) -> int | float | None:
    if len(text) > _LONGEST_NUMBER:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text) if "number" in kinds else None
    except ValueError:
        return None


def _list(node: Node, text: str) -> object:
    """Read a TOML array, or values between commas."""
    if text.strip().startswith("["):
        try:
            return tomllib.loads(f"value = {text.strip()}")["value"]
        except (tomllib.TOMLDecodeError, ValueError, RecursionError):
            return text
    items: Node = node.get("items", {})
    return [_parse(items, part.strip()) for part in text.split(",")] if text.strip() else []
