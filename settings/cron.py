"""The form of a recurrence as EC2 Auto Scaling takes it: five cron fields, names of months and days included.

Source: Amazon EC2 Auto Scaling user guide, "Scheduled scaling", recurring schedules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from settings.errors import Fault, FaultyValueError

if TYPE_CHECKING:
    from datetime import datetime

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

    def values(self, text: str) -> frozenset[int]:
        """The numbers that an accepted text stands for."""
        return frozenset(value for part in text.split(",") for value in self._values_of_part(part))

    def _values_of_part(self, part: str) -> range:
        span, _, step = part.partition("/")
        if span == "*":
            return range(self.low, self.high + 1, int(step or 1))
        ends = [number for end in span.split("-") if (number := self._number(end)) is not None]
        return range(ends[0], (self.high if step and len(ends) == 1 else ends[-1]) + 1, int(step or 1))

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


def matches(recurrence: str, at: datetime) -> bool:
    """Whether a valid cron line falls into the minute of `at`, in whose time zone it is read.

    As cron does it: where both days are restricted, one of them is enough (crontab(5); AWS does not say).
    """
    minute, hour, day, month, weekday, both = _times(recurrence)
    if at.minute not in minute or at.hour not in hour or at.month not in month:
        return False
    days = (at.day in day, at.isoweekday() % 7 in weekday)
    return any(days) if both else all(days)


@lru_cache(maxsize=64)
def _times(
    recurrence: str,
) -> tuple[frozenset[int], frozenset[int], frozenset[int], frozenset[int], frozenset[int], bool]:
    parts = recurrence.split()
    minute, hour, day, month, weekday = (field.values(part) for field, part in zip(_FIELDS, parts, strict=True))
    return minute, hour, day, month, weekday, not any(part.startswith("*") for part in (parts[2], parts[4]))
