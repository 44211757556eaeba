"""The form of a recurrence as EC2 Auto Scaling takes it: five cron fields, names of months and days included.

Source: Amazon EC2 Auto Scaling user guide, "Scheduled scaling", recurring schedules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from settings.errors import Fault, FaultyValueError

_EXAMPLE = 'write it like "0 8 * * MON-FRI"'
_STEP = re.compile(r"(?P<range>[^/]+)(?:/(?P<step>\d{1,2}))?")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def accepts(self, text: str) -> bool:
        """Whether text is a list of `*`, numbers, names and ranges, each with a step or without."""
        return all(self._accepts_part(part) for part in text.split(","))

    def _accepts_part(self, part: str) -> bool:
        match = _STEP.fullmatch(part)
        if not match or match["step"] == "0":
            return False
        if match["range"] == "*":
            return True
        ends = [self._number(end) for end in match["range"].split("-")]
        known = [end for end in ends if end is not None]
        return len(known) == len(ends) <= 2 and known == sorted(known)  # noqa: PLR2004 - a range has two ends

    def _number(self, text: str) -> int | None:
        if text.upper() in self.names:
            return self.low + self.names.index(text.upper())
        number = int(text) if re.fullmatch(r"\d{1,2}", text) else -1
        return number if self.low <= number <= self.high else None


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


def checked_recurrence(value: object) -> object:
    """Return the value when it is a cron line or no text at all (which validation refuses in its own words).

    Raises:
        FaultyValueError: what is wrong with the line.
    """
    if not isinstance(value, str):
        return value
    parts = value.split()
    if len(parts) != len(_FIELDS):
        rule = f"has {len(parts)} fields, and a cron line has five: minute, hour, day of month, month, day of week"
        raise FaultyValueError(Fault("", value, rule, _EXAMPLE))
    for field, part in zip(_FIELDS, parts, strict=True):
        if not field.accepts(part):
            raise FaultyValueError(Fault("", value, f"has {part!r} as its {field.name}", _EXAMPLE))
    return value
