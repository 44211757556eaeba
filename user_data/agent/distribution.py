"""What happened between two readings of a counter or a histogram, and a histogram in CloudWatch's own form.

A counter that is lower than before was started anew, with its program: all that it has is then new.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from user_data.agent.prometheus import Buckets

MAX_VALUES = 150
"""CloudWatch API, MetricDatum: the most values that one datum takes, each with a count."""

POINTS_PER_BUCKET = 4
"""So many values stand for the observations of one bucket: SGLang's 24 edges at most then make 93."""

PLAUSIBLE_INCREASE = 1e8
"""More observations than these between two readings are no observations (assumption: 10 s of a million tokens/s)."""


@dataclass(frozen=True)
class Distribution:
    """Values, ascending, and how often each was observed."""

    counts: Mapping[float, float]

    @property
    def size(self) -> float:
        """How many observations there are."""
        return math.fsum(self.counts.values())


def increase(before: float, now: float) -> float:
    """Return by how much a counter has grown."""
    return now - before if now >= before else now


def increases(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """Return by how much each counter has grown; one that was not there before began at 0."""
    return {key: increase(before.get(key, 0.0), value) for key, value in now.items()}


def bucket_increase(before: Buckets, now: Buckets) -> dict[float, float]:
    """Return how many observations came into each bucket, by its upper edge, those with none left out.

    A histogram that has shrunk or has other edges is a new one. An increase beyond PLAUSIBLE_INCREASE counts as none.
    """
    old, new = _single(before), _single(now)
    restarted = old.keys() != new.keys() or any(new[edge] < count for edge, count in old.items())
    grown = {edge: count - (0.0 if restarted else old[edge]) for edge, count in new.items()}
    if sum(grown.values()) > PLAUSIBLE_INCREASE:
        return {}
    return {edge: count for edge, count in grown.items() if count > 0}


def _single(buckets: Buckets) -> dict[float, float]:
    """Counts of each bucket alone, of a histogram whose counts include those of all lower buckets."""
    edges, counts = list(buckets), [0.0, *buckets.values()]
    return {edge: high - low for edge, (low, high) in zip(edges, pairwise(counts), strict=True)}


def distribution(edges: Iterable[float], grown: Iterable[Mapping[float, float]]) -> Distribution:
    """Return the observations of several histograms with the same `edges` as values that CloudWatch takes.

    A histogram tells only between which edges an observation was. Its bucket's observations are spread evenly over
    POINTS_PER_BUCKET values up to the upper edge, what does not divide goes to the highest. So a percentile is at most
    one bucket's width off, and on the right side of every edge: one that is at most an edge was so in truth. What is
    above the last finite edge stands at that edge.
    """
    finite = sorted(edge for edge in edges if math.isfinite(edge))
    points = max(1, min(POINTS_PER_BUCKET, MAX_VALUES // max(1, len(finite))))
    counts: dict[float, float] = {}
    for one in grown:
        for edge, count in one.items():
            for value, share in _spread(finite, edge, count, points):
                counts[value] = counts.get(value, 0.0) + share
    return Distribution(dict(sorted(counts.items())))


def _spread(finite: list[float], edge: float, count: float, points: int) -> Iterable[tuple[float, float]]:
    if not math.isfinite(edge):
        return ((finite[-1], count),) if finite else ()
    lower = max((other for other in finite if other < edge), default=0.0)
    each = count // points
    values = [round(lower + (edge - lower) * step / points, 6) for step in range(1, points)]
    low = [(value, each) for value in values] if each else []
    return (*low, (edge, count - each * len(low)))
