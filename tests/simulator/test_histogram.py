from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest

from simulator.cluster import Interval
from simulator.histogram import BINS, Histogram, bin_of
from simulator.series import Series


def test_percentiles_are_right_to_one_percent() -> None:
    times = np.random.default_rng(0).lognormal(0, 2, 20_000)
    histogram = Histogram.empty()
    for time in times:
        histogram.counts[bin_of(time)] += 1
    for share in (0.01, 0.5, 0.9, 0.99):
        exact = np.quantile(times, share, method="inverted_cdf")
        assert histogram.percentile(share) == pytest.approx(exact, rel=0.0101)
    assert histogram.fraction_within(1.0) == pytest.approx((times <= 1).mean(), abs=0.01)
    assert histogram.total == 20_000


def test_nothing_measured_is_not_a_number_and_extremes_stay_inside() -> None:
    assert isnan(Histogram.empty().percentile(0.9))
    assert isnan(Histogram.empty().fraction_within(1))
    assert (bin_of(0), bin_of(1e9)) == (0, BINS - 1)


def test_a_series_keeps_every_count_in_no_more_windows_than_asked_for() -> None:
    series = Series(window_seconds=30, most=50)
    for step in range(1000):
        ttft = nan if step % 2 else float(step)
        series.add(Interval(start=10.0 * step, end=10.0 * step + 10, arrivals=2, in_flight=step, ttft_p90=ttft))
    assert 20 < len(series.windows) <= 50
    assert sum(window.arrivals for window in series.windows) == 2000
    assert series.windows[0].start == 0
    for before, after in zip(series.windows, series.windows[1:], strict=False):
        assert after.start == before.end
        assert before.ttft_p90 == before.end / 10 - 2 + (before.end / 10) % 2
        assert before.in_flight == before.end / 10 - 1
    assert series.windows[-1].end == 10_000
