"""Scheduled minimums of a pool, in seconds of a trace that begins at some time of day."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from settings.cron import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from settings.scaling import ScheduleSettings

LOOK_BACK = timedelta(days=8)
"""The schedule in force when the trace begins is looked for so far back: a week and a day."""
MINUTE = timedelta(minutes=1)


def minimums(
    schedules: Sequence[ScheduleSettings], starts: datetime, seconds: float, otherwise: int
) -> tuple[tuple[float, int], ...]:
    """The minimum from each second on, in order of time; `starts` is the trace's first second, with its time zone.

    `otherwise` holds until the first schedule, when none was in force within LOOK_BACK. Of two at the same minute the
    later one in the list wins. Scheduled maximums are not simulated.
    """
    found: dict[float, int] = {0.0: otherwise}
    for second, least in _changes(schedules, starts, seconds):
        found[max(second, 0.0)] = least
    ordered = list(found.items())
    return (ordered[0], *(new for old, new in pairwise(ordered) if new[1] != old[1]))


def _changes(schedules: Sequence[ScheduleSettings], starts: datetime, seconds: float) -> Iterator[tuple[float, int]]:
    zones = [(schedule, ZoneInfo(schedule.time_zone)) for schedule in schedules]
    at, end = (starts - LOOK_BACK).replace(second=0, microsecond=0), starts + timedelta(seconds=seconds)
    while at < end:
        for schedule, zone in zones:
            if matches(schedule.recurrence, at.astimezone(zone)):
                yield (at - starts).total_seconds(), schedule.min_size
        at += MINUTE
