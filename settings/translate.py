"""Pydantic's errors in this project's sentences: path, value, rule, remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from settings.engine_arguments import iterate_spellings
from settings.engine_catalogue import spell
from settings.errors import ABSENT, Fault, FaultyValueError, Location, did_you_mean, format_path, join_path, show
from settings.schema import Node, keys_at, node_at, sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

# What each kind of value is called, and how to write it.
_KINDS: Mapping[str, tuple[str, str]] = {
    "int": ("a whole number", "write a whole number without quotes"),
    "float": ("a number", "write a number without quotes"),
    "string": ("text", "put it in quotes"),
    "bool": ("a switch", "write true or false"),
    "tuple": ("a list", "write it in brackets"),
    "model": ("a section", "write it as a table with keys of its own"),
    "dict": ("a table", "write it as a table of keys and values"),
    "is_instance": ("text", "put it in quotes"),
}


def translate(error: ValidationError) -> Iterator[tuple[Location, Fault]]:
    """Yield, for each error, the location to leave out of a second look and the fault."""
    for detail in error.errors(include_url=False):
        location = tuple(part for part in detail["loc"] if part != "[key]")
        if detail["type"] == "too_short" and detail["input"]:
            continue  # pydantic counts only the entries that are right; the others have errors of their own
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, FaultyValueError):
            yield from ((location, _placed(location, fault)) for fault in cause.faults)
        else:
            yield location, _fault(location, detail)


def _placed(location: Location, fault: Fault) -> Fault:
    return Fault(join_path(format_path(location), fault.path), fault.value, fault.rule, fault.remedy)


def _fault(location: Location, detail: ErrorDetails) -> Fault:
    kind = detail["type"]
    rule, remedy = _SENTENCES.get(kind, _type_sentence)(location, detail)
    value = ABSENT if kind == "missing" else detail["input"]
    return Fault(format_path(location), value, rule, remedy)


def _type_sentence(location: Location, detail: ErrorDetails) -> tuple[str, str]:
    family = detail["type"].partition("_type")[0].removesuffix("_from_float").removesuffix("_parsing")
    family = "is_instance" if family.startswith("is_instance") else family
    if family not in _KINDS:
        return detail["msg"].lower(), "`fleet settings schema` lists what each key takes"
    if location == ("workers",):
        return "is not a list of pools", "write each pool as [[workers]], with two brackets"
    expected, remedy = _KINDS[family]
    example = _example(node_at(location) or {})
    return f"is not {expected}", f"{remedy}{f', like {example}' if example else ''}"


def _example(node: Node) -> str | None:
    """Return a value that the schema accepts, as the file would spell it, or None when it names none."""
    for value in (*node.get("examples", ()), node.get("default")):
        if value not in (None, []) and not isinstance(value, bool | dict):
            return show(value)
    return None


def _unknown(location: Location, detail: ErrorDetails) -> tuple[str, str]:
    del detail
    return "is set for an unknown key", suggest_key(location)


def suggest_key(location: Location) -> str:
    """Return a remedy for an unknown key: the nearest key beside it, or the section that it belongs in."""
    section, key = tuple(location[:-1]), str(location[-1])
    near = did_you_mean(key, keys_at(section))
    if near:
        return f"did you mean {near}?"
    if spell(key) in set(iterate_spellings()):
        return "SGLang server arguments belong in [workers.engine]"
    for home, keys in sections().items():
        if key in keys:
            return f"it belongs in {_heading(home)}"
    known = ", ".join(keys_at(section))
    return f"the keys here are {known}" if known else "leave it out"


def _heading(home: Location) -> str:
    name = ".".join(str(part) for part in home if not isinstance(part, int))
    if not name:
        return "the top of the file, before the first section"
    return f"[[{name}]]" if home[-1] == 0 else f"[{name}]"


def _missing(location: Location, detail: ErrorDetails) -> tuple[str, str]:
    del detail
    node = node_at(location) or {}
    return "is missing", f"set it: {str(node.get('description', 'it is required')).rstrip('.').lower()}"


def _out_of_bounds(location: Location, detail: ErrorDetails) -> tuple[str, str]:
    context: Mapping[str, Any] = detail["ctx"]
    bound, limit = next(iter(context.items()))
    rule = {"ge": "is below", "gt": "is not above", "le": "is above", "lt": "is not below"}[bound]
    name = "the minimum" if bound == "ge" else "the maximum" if bound == "le" else ""
    return f"{rule} {name} {limit}".replace("  ", " "), _allowed(node_at(location) or {})


def _allowed(node: Node) -> str:
    low, high, above = node.get("minimum"), node.get("maximum"), node.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f"use {low} to {high}"
    return (
        f"use {low} or more" if low is not None else f"use more than {above}" if high is None else f"use {high} at most"
    )


def _pattern(location: Location, detail: ErrorDetails) -> tuple[str, str]:
    node = node_at(location) or {}
    example = _example(node)
    form = f"write it like {example}" if example else f"it must match {detail['ctx']['pattern']}"
    hint = node.get("x-form")
    return "does not have the right form", f"{hint}; {form}" if hint else form


def _choice(location: Location, detail: ErrorDetails) -> tuple[str, str]:
    node = node_at(location) or {}
    choices = [str(choice) for choice in node.get("enum", (node["const"],) if "const" in node else ())]
    given = detail["input"]
    near = did_you_mean(given, choices) if isinstance(given, str) else None
    listed = f"it takes {', '.join(choices)}"
    return "is not one of the choices", f"did you mean {near!r}? {listed}" if near else listed


def _too_short(location: Location, detail: ErrorDetails) -> tuple[str, str]:
    del detail
    last = location[-1]
    return "has no entries", f"add one or leave {last} out"


def _text_length(location: Location, detail: ErrorDetails) -> tuple[str, str]:
    node = node_at(location) or {}
    low, high = node.get("minLength", 0), node.get("maxLength", "any number of")
    rule = "is too short" if detail["type"].endswith("short") else "is too long"
    return rule, f"use {low} to {high} characters"


_SENTENCES: Mapping[str, Callable[[Location, ErrorDetails], tuple[str, str]]] = {
    "extra_forbidden": _unknown,
    "missing": _missing,
    "greater_than_equal": _out_of_bounds,
    "greater_than": _out_of_bounds,
    "less_than_equal": _out_of_bounds,
    "less_than": _out_of_bounds,
    "string_pattern_mismatch": _pattern,
    "literal_error": _choice,
    "too_short": _too_short,
    "string_too_short": _text_length,
    "string_too_long": _text_length,
}
