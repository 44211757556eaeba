"""Data points and their statistics."""

from __future__ import annotations

import pytest

from rehearsal.emulated_aws.alarms import statistics
from rehearsal.emulated_aws.alarms.statistics import Point, StatisticError, by_period, point, statistic_set

SET = {"Minimum": 2.0, "Maximum": 4.0, "Sum": 6.0, "SampleCount": 2.0}
POINTS = (point(101, [3.0]), point(109.9, [1.0, 5.0], [3, 1]), statistic_set(112, SET))


@pytest.mark.parametrize(
    ("statistic", "wanted"),
    [
        ("SampleCount", {100: 5, 110: 2}),
        ("Sum", {100: 11, 110: 6}),
        ("Average", {100: 2.2, 110: 3}),
        ("Minimum", {100: 1, 110: 2}),
        ("Maximum", {100: 5, 110: 4}),
        ("p50", {100: 1}),  # a statistic set of unequal samples has no percentiles
        ("p80", {100: 3}),
        ("p100", {100: 5}),
        ("p0", {100: 1}),
    ],
)
def test_a_statistic_of_each_period(statistic: str, wanted: dict[int, float]) -> None:
    assert by_period(POINTS, statistic, range(90, 140, 10)) == wanted


def test_a_period_begins_with_its_first_second_and_ends_before_its_last() -> None:
    points = (point(100, [1.0]), point(110, [2.0]), point(120, [4.0]))
    assert by_period(points, "Sum", range(100, 120, 10)) == {100: 1, 110: 2}


def test_a_point_without_samples_is_no_data() -> None:
    assert by_period((point(100, [7.0], [0]),), "Sum", range(100, 110, 10)) == {}
    assert statistics.of("Average", ()) is None
    assert by_period(POINTS, "Sum", range(100, 100, 10)) == {}


def test_standard_resolution_keeps_whole_minutes_only() -> None:
    points = (point(125, [1.0], resolution=60), point(179, [2.0], resolution=60))
    assert by_period(points, "Sum", range(120, 180, 10)) == {120: 3}


def test_percentiles_of_one_sample_sets() -> None:
    sets: tuple[Point, ...] = tuple(
        statistic_set(100, {"Minimum": v, "Maximum": v, "Sum": v, "SampleCount": 1}) for v in (1.0, 2.0, 3.0)
    )
    assert statistics.of("p50", sets) == 2


@pytest.mark.parametrize(("statistic", "period"), [("Median", 60), ("p101", 60), ("Sum", 15), ("Sum", 90), ("Sum", 0)])
def test_what_cloudwatch_does_not_have_is_refused(statistic: str, period: int) -> None:
    with pytest.raises(StatisticError, match=statistic if statistic != "Sum" else str(period)):
        statistics.check(statistic, period)


def test_periods_lie_on_multiples_of_their_length() -> None:
    assert statistics.aligned(1234.9, 10) == 1230
    assert list(statistics.grid(1200, 1235, 10)) == [1200, 1210, 1220]
