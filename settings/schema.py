"""The JSON Schema of a settings file, and what it says about one path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from settings.model import Settings

if TYPE_CHECKING:
    from settings.errors import Location

SCHEMA_FILE = "settings/data/settings.schema.json"
Node = Mapping[str, Any]


class _Generator(GenerateJsonSchema):
    """Leaves the (always empty) default of the engine's table out without a word."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"non-serializable-default", "skipped-choice"}  # noqa: RUF012


@cache
def settings_schema() -> Node:
    """Return the JSON Schema (draft 2020-12) of a settings file."""
    schema = Settings.model_json_schema(mode="validation", schema_generator=_Generator)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_pruned(schema),
        "title": "sglang-fleet settings",
    }


def render_schema() -> str:
    """Return the text of the committed schema file."""
    return json.dumps(settings_schema(), indent=1, sort_keys=True) + "\n"


def _pruned(node: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Leave out null alternatives and defaults (TOML has no null) and made-up titles (they say what the key says)."""
    if isinstance(node, list):
        return [_pruned(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _pruned(value) for key, value in node.items() if not _is_noise(key, value)}
    options = [option for option in kept.pop("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        return options[0] | kept
    return kept | ({"anyOf": options} if options else {})


def _is_noise(key: str, value: object) -> bool:
    return (key == "default" and value is None) or (key == "title" and isinstance(value, str))


def node_at(location: Location) -> Node | None:
    """Return what the schema says about a location, or None when no such key exists."""
    node: Node | None = settings_schema()
    for part in location:
        node = _child(_resolved(node), part) if node is not None else None
    return None if node is None else _resolved(node)


def _resolved(node: Node) -> Node:
    reference = node.get("$ref")
    if reference is None:
        return node
    target: Node = settings_schema()["$defs"][reference.rpartition("/")[2]]
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _child(node: Node, part: str | int) -> Node | None:
    if isinstance(part, int):
        items: Node | None = node.get("items")
        return items
    properties: Mapping[str, Node] = node.get("properties", {})
    extra = node.get("additionalProperties")
    return properties.get(part) or (extra if isinstance(extra, dict) else None)


def keys_at(location: Location) -> tuple[str, ...]:
    """Return the keys that a table may have; empty for what is not a table."""
    node = node_at(location) or {}
    return tuple(node.get("properties", ()))


@cache
def sections() -> Mapping[tuple[str | int, ...], tuple[str, ...]]:
    """Return every section's location and its keys; the first pool stands for all, engine arguments are left out."""
    found: dict[tuple[str | int, ...], tuple[str, ...]] = {}
    waiting: list[tuple[str | int, ...]] = [()]
    while waiting:
        location = waiting.pop(0)
        found[location] = keys_at(location)
        children = [(*location, key) for key in found[location] if key != "engine"]
        waiting += [(*child, 0) if child == ("workers",) else child for child in children if _holds_keys(child)]
    return found


def _holds_keys(location: tuple[str | int, ...]) -> bool:
    return bool(keys_at(location)) or location == ("workers",)
