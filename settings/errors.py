"""What is wrong with settings: a fault has path, value, rule and remedy; an error carries all of a file's faults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from typing import Final

Location = Sequence[str | int]

_LONGEST_VALUE = 80
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Values of keys that may hold a secret are never repeated: messages end up in the logs of build servers.
_SECRET_KEY = re.compile(r"key|token|password|secret|credential", re.IGNORECASE)


class _Absent:
    """The value of a key that is not there."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    `involves` names the other paths the rule looked at: when one of them is itself at fault, this fault is noise.
    """

    path: str
    value: object
    rule: str
    remedy: str
    involves: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in one line: `workers[0].max_size: 2 is below min_size 3; raise max_size or lower min_size`."""
        shown = "" if self.value is ABSENT else f"{show(self.value, self.path)} "
        return printable(f"{self.path}: {shown}{self.rule}; {self.remedy}")


class SettingsError(Exception):
    """Settings that cannot be used, with every fault found."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class FaultyValueError(ValueError):
    """Raised by a value's own validator, with faults whose paths start at that value (an empty path is the value)."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("; ".join(str(fault) for fault in faults))


def printable(text: str) -> str:
    """Return text with line breaks and other characters that no terminal shows written as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def show(value: object, path: str = "") -> str:
    """Return a value as a TOML file would spell it, cut to a readable length; secrets are not repeated."""
    if isinstance(value, str) and _SECRET_KEY.search(path.rpartition(".")[2]) and not value.startswith(("/", "arn:")):
        return "'…'"
    text = _spell(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        return _spell_number(value) if isinstance(value, int) else repr(value)
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_spell(item) for item in value[:10])}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_spell(item)}' for key, item in list(value.items())[:10])}}}"
    return value.isoformat() if isinstance(value, date | time) else f"'{value}'"


def _spell_number(value: int) -> str:
    # Python refuses to print integers of more than 4,300 digits, and nobody wants to read them.
    return str(value) if abs(value) < 10**_LONGEST_VALUE else "a number of more than 80 digits"


def format_path(location: Location) -> str:
    """Return a location as a path: `("workers", 0, "max_size")` → `workers[0].max_size`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else repr(part)
            path += f".{name}" if path else name
    return path


def join_path(base: str, inner: str) -> str:
    """Put a path that starts at `base` behind it."""
    return f"{base}{inner}" if inner.startswith("[") or not base or not inner else f"{base}.{inner}"


def overlaps(first: str, second: str) -> bool:
    """Tell whether one path is the other or holds it."""
    shorter, longer = sorted((first, second), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to `word`, or None when none is near."""
    options = list(known)
    near = get_close_matches(word, options, n=1, cutoff=0.6) or get_close_matches(
        word.lower(), options, n=1, cutoff=0.6
    )
    return near[0] if near else None
