from __future__ import annotations

from datetime import UTC, datetime

import pytest

from settings.cron import matches
from settings.scaling import ScheduleSettings
from simulator.schedules import minimums

DAY = ScheduleSettings(name="day", recurrence="30 7 * * MON-FRI", time_zone="Europe/Berlin", min_size=2)
NIGHT = ScheduleSettings(name="night", recurrence="0 19 * * *", time_zone="Europe/Berlin", min_size=0)
HOUR = 3600.0


def test_minimums_follow_the_schedules_in_their_own_time_zone() -> None:
    monday = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)  # 7:00 in Berlin
    found = minimums((DAY, NIGHT), monday, 36 * HOUR, 1)
    assert found == ((0.0, 0), (HOUR / 2, 2), (12 * HOUR, 0), (24.5 * HOUR, 2))


def test_daylight_saving_moves_a_schedule() -> None:
    sunday = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # the day on which Berlin's clocks go forward
    assert minimums((DAY, NIGHT), sunday, 30 * HOUR, 1)[1:] == ((29.5 * HOUR, 2),)


def test_before_any_schedule_the_pool_s_own_minimum_holds() -> None:
    yearly = ScheduleSettings(name="fair", recurrence="0 8 1 6 *", min_size=9)
    start = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)
    assert minimums((yearly,), start, 2 * HOUR, 3) == ((0.0, 3), (HOUR, 9))
    assert minimums((), start, 2 * HOUR, 3) == ((0.0, 3),)


@pytest.mark.parametrize(
    ("recurrence", "times"),
    [
        ("*/15 8-9 * * *", {(5, 8, 0), (5, 9, 45)}),
        ("0 0 1 * MON", {(1, 0, 0), (5, 0, 0)}),  # the first of the month, or a Monday
        ("0 0 1 * *", {(1, 0, 0)}),
        ("10/20 3 * JAN SUN,6", {(3, 3, 10), (4, 3, 50)}),
    ],
)
def test_a_cron_line_names_minutes(recurrence: str, times: set[tuple[int, int, int]]) -> None:
    for day, hour, minute in times:
        assert matches(recurrence, datetime(2026, 1, day, hour, minute, tzinfo=UTC))
    wrong = {(2, 1, 1), (6, 3, 10), (5, 10, 0), (2, 0, 0)} - times
    assert not any(matches(recurrence, datetime(2026, 1, day, hour, minute, tzinfo=UTC)) for day, hour, minute in wrong)
