"""Values of SGLang server arguments: read from a settings file, checked, and written as command-line flags."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from settings.errors import Fault, FaultyValueError, did_you_mean, show

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from settings.engine_catalogue import ArgumentKind, EngineArgument

EngineScalar = bool | int | float | str
EngineValue = EngineScalar | tuple[EngineScalar, ...]

# As human_readable_int of SGLang's srt/utils/common.py: case-sensitive, decimals with SI suffixes only.
_HUMAN_INT = re.compile(r"(?:(\d+)(Ki|Mi|Gi|Ti)|(\d+(?:\.\d+)?)(k|M|G|T))")
_MULTIPLIERS = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

_EXPECTED: Mapping[ArgumentKind, tuple[str, str]] = {
    "bool": ("a switch", "write true or false"),
    "int": ("a whole number", "write a whole number without quotes, like 4"),
    "human_int": ("a whole number", 'write a whole number like 8192, or "8k" for 8000 and "8Ki" for 8192'),
    "float": ("a number", "write a number without quotes, like 0.85"),
    "str": ("text", "put it in quotes"),
    "json": ("JSON", "write a table, an array, or a string that holds JSON"),
}


def read_human_int(text: str) -> int | None:
    """Return the number that `8k` (8000), `8Ki` (8192) or `25.6k` (25600) stands for, or None for any other text."""
    match = _HUMAN_INT.fullmatch(text.strip())
    if not match:
        return None
    whole, binary, decimal, si = match.groups()
    return int(whole) * _MULTIPLIERS[binary] if binary else int(Decimal(decimal) * _MULTIPLIERS[si])


def _read_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_human_int(value: object) -> int | None:
    return read_human_int(value) if isinstance(value, str) else _read_int(value)


def _read_float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _read_bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read_json(value: object) -> str | None:
    """Return the JSON text of a table, an array or a string that holds JSON: the form the command line takes."""
    try:
        data = json.loads(value) if isinstance(value, str) else value
        return json.dumps(data, sort_keys=True, allow_nan=False) if isinstance(data, dict | list | tuple) else None
    except (ValueError, TypeError, RecursionError):
        return None


_READERS: Mapping[ArgumentKind, Callable[[object], EngineScalar | None]] = {
    "bool": _read_bool,
    "int": _read_int,
    "human_int": _read_human_int,
    "float": _read_float,
    "str": _read_text,
    "json": _read_json,
}


def _fault(value: object, rule: str, remedy: str, path: str = "") -> FaultyValueError:
    return FaultyValueError(Fault(path, value, rule, remedy))


def _scalar(argument: EngineArgument, value: object, path: str = "") -> EngineScalar:
    if argument.dest == "lora_paths" and isinstance(value, dict):
        value = _read_json(value)
    read = _READERS[argument.kind](value)
    if read is None:
        expected, remedy = _EXPECTED[argument.kind]
        raise _fault(value, f"is not {expected}, which {argument.flag} takes", remedy, path)
    if argument.choices and str(read) not in argument.choices:
        near = did_you_mean(str(read), argument.choices)
        remedy = f"did you mean {near!r}? " if near else ""
        raise _fault(
            value, f"is not a choice of {argument.flag}", f"{remedy}it takes {_listed(argument.choices)}", path
        )
    return read


def _listed(choices: tuple[str, ...]) -> str:
    return ", ".join(choices)


def read_value(argument: EngineArgument, value: object) -> EngineValue:
    """Return the value in its canonical type; lists become tuples and JSON becomes its text.

    Raises:
        FaultyValueError: the value has the wrong type, is not one of the choices, or is a list of the wrong length.
    """
    if not argument.many:
        return _scalar(argument, value)
    if not isinstance(value, list | tuple):
        raise _fault(value, f"is not a list, which {argument.flag} takes", f"write it in brackets: [{show(value)}]")
    if not value and argument.nargs == "+":
        raise _fault(
            value, f"is empty, and {argument.flag} takes one value or more", "add a value or leave the key out"
        )
    return tuple(_scalar(argument, item, f"[{index}]") for index, item in enumerate(value))


def to_flags(argument: EngineArgument, value: EngineValue) -> tuple[str, ...]:
    """Return the command-line words that say `value`.

    A plain switch appears only when it is on; one that SGLang can turn off explicitly appears both ways.
    """
    if isinstance(value, bool):
        off = (argument.negative_flag,) if argument.negatable else ()
        return (argument.flag,) if value else off
    if isinstance(value, tuple):
        return (argument.flag, *map(str, value))
    # argparse takes a separate word that starts with a dash for a flag, except negative numbers.
    text = str(value)
    return (f"{argument.flag}={text}",) if isinstance(value, str) and text.startswith("-") else (argument.flag, text)
