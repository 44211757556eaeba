from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_data.agent.distribution import MAX_VALUES, bucket_increase, distribution, increase, increases

EDGES = (0.1, 0.2, 0.4, math.inf)
LATENCY = (*(0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400), math.inf)


def _buckets(*counts: float) -> dict[float, float]:
    return dict(zip(EDGES, counts, strict=True))


def test_a_counter_that_fell_was_started_anew() -> None:
    assert (increase(5, 8), increase(8, 5)) == (3, 5)
    assert increases({"a": 5.0, "gone": 1.0}, {"a": 7.0, "new": 2.0}) == {"a": 2.0, "new": 2.0}


def test_a_histograms_observations_since_the_last_reading() -> None:
    assert bucket_increase(_buckets(1, 1, 2, 2), _buckets(3, 3, 5, 6)) == {0.1: 2, 0.4: 1, math.inf: 1}


@pytest.mark.parametrize("before", [_buckets(9, 9, 9, 9), {}, {0.5: 1.0, math.inf: 1.0}, _buckets(0, 4, 4, 4)])
def test_of_a_new_histogram_all_is_new(before: dict[float, float]) -> None:
    assert bucket_increase(before, _buckets(2, 2, 2, 6)) == {0.1: 2, math.inf: 4}


def test_an_increase_that_cannot_be_is_none() -> None:
    assert bucket_increase(_buckets(0, 0, 0, 0), _buckets(0, 0, 0, 1e12)) == {}


def test_observations_are_spread_over_their_bucket_up_to_its_upper_edge() -> None:
    found = distribution(EDGES, [{0.2: 9, math.inf: 2}, {0.2: 1}])
    assert found.counts == {0.125: 2, 0.15: 2, 0.175: 2, 0.2: 4, 0.4: 2}
    assert distribution(EDGES, []).size == 0


def test_a_percentile_is_on_the_right_side_of_every_edge() -> None:
    grown = {0.1: 6, 0.2: 3, 0.4: 1}
    for edge, within in ((0.1, 6), (0.2, 9), (0.4, 10)):
        values = distribution(EDGES, [grown]).counts
        assert sum(count for value, count in values.items() if value <= edge) == within


@given(st.lists(st.dictionaries(st.sampled_from(LATENCY), st.integers(1, 10**7)), max_size=4))
def test_what_cloudwatch_takes(grown: list[dict[float, int]]) -> None:
    counts = distribution(LATENCY, grown).counts
    assert len(counts) <= MAX_VALUES
    assert sum(counts.values()) == sum(sum(one.values()) for one in grown)
    assert all(math.isfinite(value) and count > 0 for value, count in counts.items())
    assert list(counts) == sorted(counts)


def test_many_edges_still_fit() -> None:
    edges = [float(number) for number in range(1, 151)]
    assert len(distribution(edges, [dict.fromkeys(edges, 9.0)]).counts) == 150
