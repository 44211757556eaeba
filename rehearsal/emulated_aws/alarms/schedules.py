"""Scheduled actions: when they are due, what they do (EC2 Auto Scaling: ec2-auto-scaling-scheduled-scaling.html)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rehearsal.emulated_aws.alarms.target_tracking import Capacity

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# Field → smallest and largest value, and names by number.
FIELDS: Final[Mapping[str, tuple[int, int, Mapping[str, int]]]] = {
    "minute": (0, 59, {}),
    "hour": (0, 23, {}),
    "day": (1, 31, {}),
    "month": (1, 12, {name: number for number, name in enumerate(MONTHS, 1)}),
    "weekday": (0, 7, {name: number for number, name in enumerate(DAYS)}),
}
SUNDAY_TOO: Final = 7
# Minutes that are looked at, at most, when time makes a jump: a laptop that slept has missed what was before.
CATCH_UP: Final = timedelta(days=1)


class ScheduleError(ValueError):
    """A recurrence or time zone that Auto Scaling refuses."""


@dataclass(frozen=True)
class Cron:
    """A recurrence of five fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday)."""

    allowed: Mapping[str, frozenset[int]]
    any_day: bool
    any_weekday: bool

    def matches(self, at: datetime) -> bool:
        """Whether a minute is meant; day of month and day of week are alternatives when both are given, as in cron."""
        of_day = at.day in self.allowed["day"]
        of_week = at.isoweekday() % SUNDAY_TOO in self.allowed["weekday"]
        days = of_day and of_week if self.any_day or self.any_weekday else of_day or of_week
        return (
            at.minute in self.allowed["minute"]
            and at.hour in self.allowed["hour"]
            and at.month in self.allowed["month"]
            and days
        )


def cron(recurrence: str) -> Cron:
    """Read a recurrence.

    Raises:
        ScheduleError: it has not five fields, or one of them is not understood.
    """
    fields = recurrence.split()
    if len(fields) != len(FIELDS):
        raise ScheduleError(f"Given recurrence string: {recurrence} is invalid: five fields are needed")
    allowed = {name: _field(name, text, recurrence) for name, text in zip(FIELDS, fields, strict=True)}
    allowed["weekday"] = frozenset(day % SUNDAY_TOO for day in allowed["weekday"])
    return Cron(allowed, any_day=fields[2] == "*", any_weekday=fields[4] == "*")


def _field(name: str, text: str, recurrence: str) -> frozenset[int]:
    """Numbers and names, `*`, lists, ranges and steps."""
    try:
        return frozenset(number for part in text.split(",") for number in _part(name, part))
    except ValueError:
        raise ScheduleError(f"Given recurrence string: {recurrence} is invalid: the {name} '{text}'") from None


def _part(name: str, part: str) -> range:
    least, most, named = FIELDS[name]
    where, _, step = part.partition("/")
    first, dash, last = where.partition("-")
    if where == "*":
        begin, end = least, most
    else:
        begin = _number(first, named)
        end = _number(last, named) if dash else (most if step else begin)
    if not least <= begin <= end <= most or (step and int(step) < 1):
        raise ValueError(part)
    return range(begin, end + 1, int(step or 1))


def _number(text: str, named: Mapping[str, int]) -> int:
    return named[text.upper()] if text.upper() in named else int(text)


@dataclass(frozen=True)
class Action:
    """One scheduled action (API_PutScheduledUpdateGroupAction.html). Times UTC; the recurrence is in `zone`."""

    name: str
    recurrence: str | None = None
    zone: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None
    minimum: int | None = None
    maximum: int | None = None
    desired: int | None = None

    def check(self) -> None:
        """Refuse what Auto Scaling would.

        Raises:
            ScheduleError: recurrence or time zone not understood, or nothing to do.
        """
        if self.recurrence is not None:
            cron(self.recurrence)
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ScheduleError(f"The time zone {self.zone} is not one of the IANA database") from None
        if self.minimum is None and self.maximum is None and self.desired is None:
            raise ScheduleError("At least one of MinSize, MaxSize and DesiredCapacity is needed")

    def due(self, since: datetime, until: datetime) -> datetime | None:
        """The last moment after `since` and not after `until` at which it is to be carried out; None when none is."""
        if self.recurrence is None:
            return self.start if self.start is not None and since < self.start <= until else None
        rule, zone = cron(self.recurrence), ZoneInfo(self.zone)
        minute = until.replace(second=0, microsecond=0)
        earliest = max(since, until - CATCH_UP)
        while minute > earliest:
            if self._open(minute) and rule.matches(minute.astimezone(zone)):
                return minute
            minute -= timedelta(minutes=1)
        return None

    def _open(self, at: datetime) -> bool:
        """StartTime and EndTime are when a recurrence begins and ends (same API page)."""
        return (self.start is None or at >= self.start) and (self.end is None or at <= self.end)


def carried_out(action: Action, capacity: Capacity) -> Capacity:
    """The group after the action: new limits pull the desired capacity along (the page on scheduled scaling)."""
    least = capacity.minimum if action.minimum is None else action.minimum
    most = capacity.maximum if action.maximum is None else action.maximum
    wanted = capacity.desired if action.desired is None else action.desired
    most = max(most, least)
    return Capacity(min(max(wanted, least), most), least, most, capacity.warming, capacity.leaving)


def utc(at: datetime) -> datetime:
    """A time with its zone; one without is UTC (same API page)."""
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
