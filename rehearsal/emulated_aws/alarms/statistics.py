"""Data points → one statistic for each period (cloudwatch_concepts.html, Statistics-definitions.html)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

HIGH_RESOLUTION: Final = 1
STANDARD_RESOLUTION: Final = 60
# API_MetricStat.html: for high-resolution metrics a period may be 1, 5, 10, 20, 30 or any multiple of 60 seconds.
SHORT_PERIODS: Final = frozenset({1, 5, 10, 20, 30})
PERCENTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")


class StatisticError(ValueError):
    """A statistic or a period that CloudWatch does not have."""


@dataclass(frozen=True, slots=True)
class Point:
    """One MetricDatum (API_MetricDatum.html); `at` in seconds since 1970.

    Either values with how often each was seen, or, for a StatisticSet, only its four numbers.
    """

    at: float
    minimum: float
    maximum: float
    total: float
    samples: float
    values: tuple[tuple[float, float], ...] = ()


SIMPLE: Final[Mapping[str, Callable[[Sequence[Point]], float]]] = {
    "SampleCount": lambda points: sum(one.samples for one in points),
    "Sum": lambda points: sum(one.total for one in points),
    "Average": lambda points: sum(one.total for one in points) / sum(one.samples for one in points),
    "Minimum": lambda points: min(one.minimum for one in points),
    "Maximum": lambda points: max(one.maximum for one in points),
}


def point(at: float, values: Iterable[float], counts: Iterable[float] | None = None, resolution: int = 1) -> Point:
    """A data point of single values, each once or as often as `counts` says.

    API_MetricDatum.html: with StorageResolution 60 (the default) CloudWatch keeps one-minute resolution, so the time
    is cut to the minute.
    """
    numbers = tuple(values)
    pairs = tuple(zip(numbers, counts or [1.0] * len(numbers), strict=True))
    seen = [value for value, count in pairs if count > 0]
    return Point(
        _stored(at, resolution),
        min(seen, default=0.0),
        max(seen, default=0.0),
        sum(value * count for value, count in pairs),
        sum(count for _, count in pairs),
        pairs,
    )


def statistic_set(at: float, given: Mapping[str, float], resolution: int = 1) -> Point:
    """A data point that arrived as StatisticValues (API_StatisticSet.html)."""
    return Point(_stored(at, resolution), given["Minimum"], given["Maximum"], given["Sum"], given["SampleCount"])


def _stored(at: float, resolution: int) -> float:
    return at if resolution < STANDARD_RESOLUTION else at - at % STANDARD_RESOLUTION


def check(statistic: str, period: int) -> None:
    """Refuse what CloudWatch would.

    Raises:
        StatisticError: no such statistic, or a period that is neither 1, 5, 10, 20, 30 nor a multiple of 60 seconds.
    """
    if statistic not in SIMPLE and not PERCENTILE.fullmatch(statistic):
        raise StatisticError(f"The value {statistic} for parameter Stat is not supported.")
    if period not in SHORT_PERIODS and (period <= 0 or period % STANDARD_RESOLUTION):
        raise StatisticError(f"The value {period} for parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")


def aligned(at: float, period: int) -> int:
    """Start of the period that a moment lies in: periods begin at multiples of their length since 1970."""
    return int(at // period) * period


def grid(since: int, until: int, period: int) -> range:
    """Starts of the periods from `since` on that end not later than `until`."""
    return range(since, until - period + 1, period)


def by_period(points: Iterable[Point], statistic: str, starts: range) -> dict[int, float]:
    """The statistic of each period that has data; `starts` are the periods' beginnings, the step their length."""
    if not starts:
        return {}
    rows: dict[int, list[Point]] = {}
    first, step, end = starts[0], starts.step, starts[-1] + starts.step
    for one in points:
        if first <= one.at < end and one.samples > 0:
            rows.setdefault(first + int((one.at - first) // step) * step, []).append(one)
    found = ((at, of(statistic, row)) for at, row in sorted(rows.items()))
    return {at: value for at, value in found if value is not None}


def of(statistic: str, points: Sequence[Point]) -> float | None:
    """The statistic of some data points; None when these cannot tell."""
    if sum(one.samples for one in points) <= 0:
        return None
    if statistic in SIMPLE:
        return SIMPLE[statistic](points)
    return _percentile(float(statistic.removeprefix("p")), points)


def _percentile(percent: float, points: Sequence[Point]) -> float | None:
    """By nearest rank (an assumption: AWS does not say how it interpolates).

    cloudwatch_concepts.html, "Percentiles": of statistic sets only when they hold one sample, or equal ones.
    """
    if any(not one.values and one.samples != 1 and one.minimum != one.maximum for one in points):
        return None
    pairs = sorted(pair for one in points for pair in one.values or ((one.minimum, one.samples),))
    rank = max(percent / 100 * sum(count for _, count in pairs), math.ulp(0.0))
    seen = 0.0
    for value, count in pairs:
        seen += count
        if seen >= rank:
            return value
    return pairs[-1][0]
