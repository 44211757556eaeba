"""Target tracking, step scaling and simple scaling as arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rehearsal.emulated_aws.alarms import target_tracking as tracking
from rehearsal.emulated_aws.alarms.step_scaling import Kind, Step, change, cooled_down, simple, step_of, stepped
from rehearsal.emulated_aws.alarms.target_tracking import Capacity


@pytest.mark.parametrize(
    ("metric", "capacity", "wanted"),
    [
        (16.0, Capacity(2, 1, 10), 4),
        (16.1, Capacity(2, 1, 10), 5),
        (32.0, Capacity(2, 1, 6), 6),  # the group's maximum
        (16.0, Capacity(4, 1, 10, warming=2), 4),  # what is on its way is enough
        (28.0, Capacity(4, 1, 10, warming=2), 7),  # it is not: only the difference is added
        (4.0, Capacity(4, 1, 10), 4),  # the high alarm never removes
        (16.0, Capacity(3, 1, 10, warming=3), 3),  # nobody serves: no metric says how many are needed
        (16.0, Capacity(9, 1, 6), 9),
        (8.0 * (1 + 1e-12), Capacity(3, 1, 10), 3),
    ],
)
def test_the_high_alarm_brings_what_the_load_needs(metric: float, capacity: Capacity, wanted: int) -> None:
    assert tracking.out(metric, 8.0, capacity) == wanted


@pytest.mark.parametrize(
    ("metric", "capacity", "wanted"),
    [
        (1.0, Capacity(5, 1, 10), 4),  # gradually
        (7.1, Capacity(5, 1, 10), 5),  # the others could not carry it
        (0.0, Capacity(2, 2, 10), 2),
        (0.0, Capacity(1, 0, 10), 0),
        (None, Capacity(5, 1, 10), 5),
        (1.0, Capacity(5, 1, 10, warming=1), 5),
    ],
)
def test_the_low_alarm_removes_only_what_is_not_needed(metric: float | None, capacity: Capacity, wanted: int) -> None:
    assert tracking.inward(metric, 8.0, capacity) == wanted


def test_the_alarms_of_target_tracking() -> None:
    high, low = tracking.high_alarm(8.0, 10), tracking.low_alarm(8.0, 10)
    assert (high.points, high.periods, high.breaches(8.0), high.breaches(8.01)) == (3, 3, False, True)
    assert (low.points * low.period, low.breaches(7.2), low.breaches(7.19)) == (900, False, True)
    assert (tracking.low_alarm(8.0, 60).points, tracking.high_alarm(8.0, 60).points) == (15, 3)
    assert high.missing == low.missing == "missing"


STEPS = (Step(10, 0, 10), Step(30, 10, 20), Step(50, 20))
DOWN = (Step(-10, -10, 0), Step(-30, None, -10))


@pytest.mark.parametrize(
    ("steps", "difference", "above", "wanted"),
    [
        (STEPS, 0, True, 10),
        (STEPS, 10, True, 30),
        (STEPS, 1e9, True, 50),
        (STEPS, -0.1, True, None),
        (DOWN, 0, False, -10),
        (DOWN, -10, False, -30),
        (DOWN, -9.9, False, -10),
        (DOWN, 0.1, False, None),
    ],
)
def test_a_step_is_found_by_the_distance(steps: tuple[Step, ...], difference: float, above: bool, wanted: int) -> None:
    found = step_of(steps, difference, above=above)
    assert (found.adjustment if found else None) == wanted


@pytest.mark.parametrize(
    ("kind", "adjustment", "current", "least", "wanted"),
    [
        ("ChangeInCapacity", 3, 7, 0, 3),
        ("ExactCapacity", 3, 7, 0, -4),
        ("PercentChangeInCapacity", 10, 127, 0, 12),
        ("PercentChangeInCapacity", 10, 6, 0, 1),
        ("PercentChangeInCapacity", -10, 6, 0, -1),
        ("PercentChangeInCapacity", -100, 6, 0, -6),
        ("PercentChangeInCapacity", -33, 20, 0, -6),
        ("PercentChangeInCapacity", 25, 4, 2, 2),
        ("PercentChangeInCapacity", -25, 4, 2, -2),
        ("PercentChangeInCapacity", 50, 0, 2, 0),
    ],
)
def test_adjustment_types(kind: Kind, adjustment: int, current: int, least: int, wanted: int) -> None:
    assert change(kind, adjustment, current, least) == wanted


@pytest.mark.parametrize(
    ("kind", "adjustment", "capacity", "wanted"),
    [
        ("ChangeInCapacity", 2, Capacity(3, 1, 10), 5),
        ("ChangeInCapacity", 2, Capacity(5, 1, 10, warming=2), 5),  # the same step adds once
        ("ChangeInCapacity", 3, Capacity(5, 1, 10, warming=2), 6),  # a higher one the difference
        ("ChangeInCapacity", 9, Capacity(3, 1, 10), 10),
        ("ChangeInCapacity", -1, Capacity(3, 1, 10), 2),
        ("ChangeInCapacity", -1, Capacity(2, 1, 10, leaving=1), 2),  # one is still leaving
        ("ChangeInCapacity", -3, Capacity(2, 1, 10, leaving=1), 1),
        ("ChangeInCapacity", -1, Capacity(3, 1, 10, warming=1), 3),
        ("ChangeInCapacity", -5, Capacity(3, 2, 10), 2),
        ("ExactCapacity", 6, Capacity(3, 1, 10), 6),
        ("ExactCapacity", 6, Capacity(6, 1, 10, warming=3), 6),
        ("ExactCapacity", 2, Capacity(3, 1, 10), 2),
        ("PercentChangeInCapacity", 50, Capacity(4, 1, 10), 6),
    ],
)
def test_a_step_counts_what_comes_and_what_goes(kind: Kind, adjustment: int, capacity: Capacity, wanted: int) -> None:
    assert stepped(kind, Step(adjustment), capacity) == wanted


def test_simple_scaling_knows_no_warm_up_but_a_cooldown() -> None:
    assert simple("ChangeInCapacity", 2, Capacity(5, 1, 10, warming=2)) == 7
    assert simple("ChangeInCapacity", -9, Capacity(5, 2, 10)) == 2
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert cooled_down(None, 300, now)
    assert not cooled_down(now - timedelta(seconds=299), 300, now)
    assert cooled_down(now - timedelta(seconds=300), 300, now)
