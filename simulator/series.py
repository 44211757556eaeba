"""Intervals gathered in windows for a plot, never more than so many: when they are full, neighbours are merged."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import Any

from simulator.cluster import Interval

SUMS = (
    "arrivals", "completed", "refused", "lost", "prompt_tokens", "cached_tokens", "output_tokens", "attained",
    "too_long",
)  # fmt: skip
"""What is counted over an interval; times to first token and KV maxima become the highest, the rest the latest."""
HIGHEST = ("kv_usage_max", "ttft_p90", "itl_p90")


class Series:
    """An observer of a cluster: `cluster.observers.append(series.add)`."""

    def __init__(self, window_seconds: float = 60.0, most: int = 2000) -> None:
        """Windows of this length at first, which doubles whenever there would be more than `most`."""
        self.window_seconds = window_seconds
        self.most = most
        self.windows: list[Interval] = []

    def add(self, interval: Interval) -> None:
        """Take what happened next."""
        if self.windows and interval.end - self.windows[-1].start <= self.window_seconds:
            self.windows[-1] = _merged(self.windows[-1], interval)
        else:
            self.windows.append(interval)
        if len(self.windows) > self.most:
            self.window_seconds *= 2
            old, self.windows = self.windows, []
            for window in old:
                self.add(window)


def _merged(first: Interval, second: Interval) -> Interval:
    changed: dict[str, Any] = {name: getattr(first, name) + getattr(second, name) for name in SUMS}
    changed |= {name: _higher(getattr(first, name), getattr(second, name)) for name in HIGHEST}
    return replace(second, start=first.start, **changed)


def _higher(first: float, second: float) -> float:
    return first if isnan(second) or first > second else second
