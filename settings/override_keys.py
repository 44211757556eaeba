"""What an override's key addresses: a full path, one of the short keys, or a server argument of the first pool."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from settings.engine_arguments import find_argument, iterate_spellings
from settings.engine_catalogue import MANAGED, RENAMED, engine_catalogue, spell
from settings.errors import Fault, FaultyValueError, did_you_mean, join_path
from settings.schema import keys_at, node_at, sections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Target = tuple[str | int, ...]

_FIRST_POOL: Target = ("workers", 0)
_ROUTER_ADDRESS: Target = ("router", "address")
_POOL_KEYS = (
    "model_id",
    "model_revision",
    "served_model_name",
    "instance_type",
    "min_size",
    "max_size",
    "desired_size",
)
SHORT_KEYS: Mapping[str, Target] = MappingProxyType(
    {"router_ip": _ROUTER_ADDRESS} | {key: (*_FIRST_POOL, key) for key in _POOL_KEYS}
)
_PART = re.compile(r"([A-Za-z0-9_-]+)((?:\[\d{1,4}\])*)")
_ENGINE = "engine"
_ENGINE_PATH = (*_FIRST_POOL, _ENGINE, "argument")


def target_of(key: str, pool_names: Sequence[str]) -> Target:
    """Return the location that a key addresses; `pool_names` are the names of the pools in their order.

    Raises:
        FaultyValueError: nothing has that key; with the nearest one that exists.
    """
    if key in SHORT_KEYS:
        return SHORT_KEYS[key]
    if key in keys_at(()):
        return (key,)
    if "." in key or "[" in key:
        return _path_target(key, pool_names)
    if _is_engine_word(key):
        return (*_FIRST_POOL, _ENGINE, find_argument(key).dest)
    raise _unknown(key, "is given for an unknown key", _suggest(key))


def _is_engine_word(key: str) -> bool:
    name = spell(key)
    return name in engine_catalogue().spellings or name in RENAMED or name in MANAGED


def _unknown(key: str, rule: str, remedy: str) -> FaultyValueError:
    return FaultyValueError(Fault("", key, rule, remedy))


def _suggest(key: str) -> str:
    homes = [_spelled((*home, key)) for home, keys in sections().items() if key in keys]
    near = homes[0] if homes else did_you_mean(key, [*SHORT_KEYS, *iterate_spellings(), *keys_at(())])
    if near:
        return f"did you mean {near}?"
    return "use a full path like router.port, a short key like model_id, or a server argument like tp_size"


def _spelled(target: Target) -> str:
    path = ""
    for part in target:
        path = f"{path}[{part}]" if isinstance(part, int) else join_path(path, part)
    return path


def _path_target(key: str, pool_names: Sequence[str]) -> Target:
    parts = _split(key)
    if parts[:1] == ("workers",) and len(parts) > 1:
        parts = ("workers", _pool_index(key, parts[1], pool_names), *parts[2:])
    if parts[2:3] == (_ENGINE,) and len(parts) >= len(_ENGINE_PATH):
        return _engine_target(key, parts)
    if node_at(parts) is None:
        raise _unknown(key, "is given for an unknown key", _suggest_path(parts))
    return parts


def _split(key: str) -> Target:
    if key.startswith("tags."):
        return ("tags", key.removeprefix("tags."))
    matches = [_PART.fullmatch(part) for part in key.split(".")]
    parts: list[str | int] = []
    for match in matches:
        if match is None:
            raise _unknown(key, "is not a path", "write it like workers[0].max_size or router.port")
        parts += [match[1], *(int(index) for index in re.findall(r"\d+", match[2]))]
    return tuple(parts)


def _pool_index(key: str, part: str | int, pool_names: Sequence[str]) -> int:
    index = int(part) if isinstance(part, int) or part.isdecimal() else None
    if index is None and part in pool_names:
        return pool_names.index(str(part))
    if index is not None and index < len(pool_names):
        return index
    listed = ", ".join(pool_names)
    raise _unknown(key, f"names no pool: {part} is none", f"the pools are {listed}, numbered from 0")


def _engine_target(key: str, parts: Target) -> Target:
    if len(parts) > len(_ENGINE_PATH):
        raise _unknown(key, "goes below a server argument", "give the argument's whole value")
    return (*parts[:3], find_argument(str(parts[3])).dest)


def _suggest_path(parts: Target) -> str:
    """Return the nearest existing key at the first part that does not exist."""
    depth = next(index for index in range(1, len(parts) + 1) if node_at(parts[:index]) is None)
    home, word = parts[: depth - 1], str(parts[depth - 1])
    near = did_you_mean(word, keys_at(home))
    if near:
        return f"did you mean {_spelled((*home, near))}?"
    known = ", ".join(keys_at(home))
    return f"{_spelled(home) or 'settings'} has {known}" if known else f"{_spelled(home)} has no keys of its own"
