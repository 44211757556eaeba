"""Histograms of times with fixed bins: memory does not grow, and percentiles are right to 1 %.

Bin edges grow by 2 % each, and a percentile is the geometric middle of its bin, so it is off by 1 % at most (besides
the half request that any percentile of a sample is off by). The bins reach from 0.1 ms to 17.8 hours; what is outside
counts in the first or last.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, nan

import numpy as np
from numpy.typing import NDArray

FIRST_EDGE_SECONDS = 1e-4
RATIO = 1.02
BINS = 1024
LOG_RATIO = log(RATIO)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many times fell into each bin."""

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Histogram:
        """Nothing measured yet."""
        return cls(np.zeros(BINS, np.int64))

    @property
    def total(self) -> int:
        """How many times were measured."""
        return int(self.counts.sum())

    def percentile(self, share: float) -> float:
        """The time in seconds that `share` (0..1) of the measured times do not exceed; nan without data."""
        return percentile(self.counts, share)

    def fraction_within(self, seconds: float) -> float:
        """Which share of the measured times is at most `seconds` (to the bin); nan without data."""
        total = self.total
        return float(self.counts[: bin_of(seconds) + 1].sum()) / total if total else nan


def bin_of(seconds: float) -> int:
    """The bin that a time belongs to."""
    if seconds <= FIRST_EDGE_SECONDS:
        return 0
    return min(int(log(seconds / FIRST_EDGE_SECONDS) / LOG_RATIO), BINS - 1)


def percentile(counts: NDArray[np.int64], share: float) -> float:
    """As Histogram.percentile, for bare counts."""
    running = np.cumsum(counts)
    total = int(running[-1])
    if not total:
        return nan
    index = int(np.searchsorted(running, max(share * total, 1)))
    return middle(min(index, BINS - 1))


def middle(index: int) -> float:
    """The time in seconds that stands for those of a bin."""
    return float(FIRST_EDGE_SECONDS * RATIO ** (index + 0.5))
