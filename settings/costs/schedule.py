"""How many workers a pool's schedules keep on average: their minimum, weighted by how long each holds in a year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.scaling import ScheduleSettings
    from settings.workers import WorkerPool

YEAR = 2027
"""A year without a leap day; which one hardly matters."""
MINUTES_PER_DAY = 24 * 60
DAYS = 365
NAMES = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))} | {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
    )
}
ALL = "*"


@dataclass(frozen=True)
class _Cron:
    """A recurrence, field by field, as sets of numbers; Sunday is 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Both day of month and day of week are given: one of them is enough (crontab(5))."""

    @classmethod
    def read(cls, recurrence: str) -> _Cron:
        minute, hour, day, month, weekday = recurrence.split()
        return cls(
            _numbers(minute, 0, 59),
            _numbers(hour, 0, 23),
            _numbers(day, 1, 31),
            _numbers(month, 1, 12),
            frozenset(number % 7 for number in _numbers(weekday, 0, 7)),
            ALL not in (day, weekday),
        )

    def falls_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        matches = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        return any(matches) if self.either_day else all(matches)


def _numbers(field: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == ALL:
            begin, end = least, most
        else:
            begin = _number(first)
            end = _number(last) if last else (most if step else begin)
        found.update(range(begin, end + 1, int(step or 1)))
    return frozenset(found)


def _number(word: str) -> int:
    return NAMES[word] if word in NAMES else int(word)


def expected_minimum(pool: WorkerPool) -> float:
    """Return the mean of the scheduled minimum over a year, or the size at the first apply without schedules.

    Schedules of one pool are taken as if they had one time zone: its daylight saving changes nothing of the mean.
    """
    events = sorted(event for schedule in pool.scaling.schedules for event in _events(schedule))
    if not events:
        return float(pool.initial_size)
    total = DAYS * MINUTES_PER_DAY
    following = [*(minute for minute, _ in events[1:]), events[0][0] + total]
    return sum(size * (until - since) for (since, size), until in zip(events, following, strict=True)) / total


def _events(schedule: ScheduleSettings) -> Iterator[tuple[int, int]]:
    cron, first = _Cron.read(schedule.recurrence), date(YEAR, 1, 1)
    for number in range(DAYS):
        if cron.falls_on(first + timedelta(days=number)):
            start = number * MINUTES_PER_DAY
            yield from (
                (start + hour * 60 + minute, schedule.min_size) for hour in cron.hours for minute in cron.minutes
            )
