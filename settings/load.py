"""From a TOML file and overrides to `Settings`, or to one error that holds every fault of the file."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from settings.errors import Fault, Location, SettingsError, format_path, overlaps
from settings.model import Settings
from settings.overrides import apply_overrides
from settings.rules import check_rules
from settings.toml_file import Raw, odd_values, read_toml
from settings.translate import translate

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

# Each round leaves out what the one before found; sections nest three deep.
_MOST_ROUNDS = 10
_NO_OVERRIDES: Mapping[str, object] = MappingProxyType({})


def load_settings(path: str | os.PathLike[str], overrides: Mapping[str, object] = _NO_OVERRIDES) -> Settings:
    """Return the settings of a file, with overrides put over it (later ones win; see `settings.overrides`).

    Raises:
        SettingsError: with every fault of the file and the overrides at once.
    """
    return settings_from(read_toml(Path(path)), overrides)


def settings_from(raw: Mapping[str, object], overrides: Mapping[str, object] = _NO_OVERRIDES) -> Settings:
    """Return the settings of tables already read; as `load_settings`.

    Raises:
        SettingsError: with every fault at once.
    """
    data, faults = apply_overrides(deepcopy(dict(raw)), overrides)
    settings, more, pruned = _validate(data)
    faults = (*faults, *more, *_unmasked(check_rules(settings), pruned))
    if faults:
        raise SettingsError(_in_order(faults))
    return settings


def _validate(data: Raw) -> tuple[Settings, list[Fault], list[str]]:
    """Validate, leaving out what is at fault until the rest holds, so that no fault hides another."""
    faults: list[Fault] = []
    pruned: list[str] = []
    for location, fault in list(odd_values(data)):
        faults.append(fault)
        pruned.append(_prune(data, location))
    for _ in range(_MOST_ROUNDS):
        try:
            return Settings.model_validate(_frozen(data)), faults, pruned
        except ValidationError as error:
            found = list(translate(error))
        # A required key that was left out as faulty is not missing too.
        faults += [fault for _, fault in found if fault.path not in pruned]
        pruned += [_prune(data, location) for location in {tuple(location): None for location, _ in found}]
    raise SettingsError(_in_order(faults))


def _prune(data: Raw, location: Location) -> str:
    """Take a location out of the tables and return the path of what went with it.

    A key that is missing takes its section along, a list's item takes the list; a pool becomes an empty pool, so that
    the others keep their numbers.
    """
    for index, (parent, part) in reversed(list(enumerate(_parents(data, location)))):
        if isinstance(parent, dict) and part in parent:
            del parent[part]
            return format_path(location[: index + 1])
        if isinstance(parent, list) and isinstance(part, int) and index == 1 and location[0] == "workers":
            parent[part] = {}
            return format_path(location[:2])
    return format_path(location)


def _parents(data: Raw, location: Location) -> list[tuple[object, str | int]]:
    """Return each part of a location with the container that holds it, or None where there is none."""
    found: list[tuple[object, str | int]] = []
    here: object = data
    for part in location:
        found.append((here, part))
        here = _item(here, part)
    return found


def _item(container: object, part: str | int) -> object:
    if isinstance(container, dict):
        return container.get(part)
    if isinstance(container, list) and isinstance(part, int) and part < len(container):
        return container[part]
    return None


def _frozen(value: object) -> object:
    """Return the data with lists as tuples, which is what strict validation takes."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return {key: _frozen(item) for key, item in value.items()} if isinstance(value, dict) else value


def _unmasked(faults: Iterable[Fault], pruned: list[str]) -> list[Fault]:
    """Drop what a rule says about keys that are at fault themselves: there it looked at a default."""
    return [
        fault
        for fault in faults
        if not any(overlaps(path, gone) for path in (fault.path, *fault.involves) for gone in pruned)
    ]


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Return each fault once, in the order found."""
    return list({(fault.path, fault.rule): fault for fault in faults}.values())
