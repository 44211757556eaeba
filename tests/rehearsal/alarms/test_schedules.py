"""Scheduled actions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rehearsal.emulated_aws.alarms.schedules import Action, ScheduleError, carried_out, cron
from rehearsal.emulated_aws.alarms.target_tracking import Capacity


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("recurrence", "yes", "no"),
    [
        ("30 6 * * *", "2026-11-24 06:30", "2026-11-24 06:31"),
        ("*/15 * * * *", "2026-11-24 06:45", "2026-11-24 06:50"),
        ("5/20 * * * *", "2026-11-24 06:45", "2026-11-24 06:00"),
        ("0 8-18/2 * * *", "2026-11-24 12:00", "2026-11-24 13:00"),
        ("0 9 * * MON-FRI", "2026-11-24 09:00", "2026-11-22 09:00"),
        ("0 9 * * 0,6", "2026-11-22 09:00", "2026-11-24 09:00"),
        ("0 9 * * 7", "2026-11-22 09:00", "2026-11-21 09:00"),
        ("0 0 1 jan *", "2027-01-01 00:00", "2027-02-01 00:00"),
        ("0 0 13 * 5", "2026-11-13 00:00", "2026-11-14 00:00"),
        ("0 0 13 * 5", "2026-11-20 00:00", "2026-11-19 00:00"),  # one of the two is enough
    ],
)
def test_a_recurrence_means_minutes(recurrence: str, yes: str, no: str) -> None:
    assert cron(recurrence).matches(at(yes))
    assert not cron(recurrence).matches(at(no))


@pytest.mark.parametrize(
    "recurrence", ["* * * *", "60 * * * *", "* 24 * * *", "a * * * *", "5-1 * * * *", "*/0 * * * *", "* * 0 * *"]
)
def test_what_is_no_recurrence_is_refused(recurrence: str) -> None:
    with pytest.raises(ScheduleError, match="is invalid"):
        Action("a", recurrence, minimum=1).check()


def test_an_action_needs_a_zone_that_exists_and_something_to_do() -> None:
    with pytest.raises(ScheduleError, match="Mars/Olympus"):
        Action("a", "0 9 * * *", "Mars/Olympus", minimum=1).check()
    with pytest.raises(ScheduleError, match="At least one"):
        Action("a", "0 9 * * *").check()
    Action("a", "0 9 * * *", "Europe/Vienna", desired=0).check()


def test_it_is_due_once_between_two_looks() -> None:
    action = Action("a", "0 9 * * *")
    nine = at("2026-11-24 09:00")
    assert action.due(nine - timedelta(seconds=1), nine + timedelta(seconds=1)) == nine
    assert action.due(nine, nine + timedelta(seconds=59)) is None
    assert action.due(nine - timedelta(seconds=2), nine - timedelta(seconds=1)) is None
    assert action.due(nine - timedelta(hours=30), nine + timedelta(hours=1)) == nine
    assert action.due(nine - timedelta(days=9), nine + timedelta(hours=23)) == nine


def test_a_time_zone_moves_it_with_daylight_saving() -> None:
    action = Action("a", "0 9 * * *", "Europe/Vienna")
    winter, summer = at("2026-11-24 08:00"), at("2026-07-24 07:00")
    assert action.due(winter - timedelta(minutes=1), winter) == winter
    assert action.due(summer - timedelta(minutes=1), summer) == summer
    assert action.due(summer + timedelta(minutes=1), summer + timedelta(hours=1)) is None


def test_start_and_end_bound_a_recurrence_and_a_start_alone_is_once() -> None:
    nine, minute = at("2026-11-24 09:00"), timedelta(minutes=1)
    daily = Action("a", "0 9 * * *", start=nine + minute)
    assert daily.due(nine - minute, nine) is None
    assert replace(daily, start=nine, end=nine).due(nine - minute, nine) == nine
    assert replace(daily, start=None, end=nine - minute).due(nine - minute, nine) is None
    once = Action("a", start=nine)
    assert once.due(nine - minute, nine) == nine
    assert once.due(nine, nine + minute) is None
    assert Action("a").due(nine - minute, nine) is None


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        (Action("a", minimum=4), Capacity(4, 4, 8)),
        (Action("a", maximum=1, minimum=0), Capacity(1, 0, 1)),
        (Action("a", desired=7), Capacity(7, 1, 8)),
        (Action("a", desired=9), Capacity(8, 1, 8)),
        (Action("a", minimum=0, maximum=0, desired=0), Capacity(0, 0, 0)),
    ],
)
def test_limits_pull_the_desired_capacity_along(action: Action, wanted: Capacity) -> None:
    assert carried_out(action, Capacity(2, 1, 8)) == wanted
