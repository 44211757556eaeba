"""CloudWatch between the fleet and its policies: points every 10 seconds, seen late, judged by alarms.

A point is taken at the end of a step and published in the middle of a CloudWatch period of 10 s, so that a skew of
clocks of up to 5 s moves no point into another period. An alarm judges it when that period is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

STEP_SECONDS = 10
HISTORY_STEPS = 400
"""Longer than the longest alarm's window; 15 periods of a minute are 90 steps."""
Statistic = Literal["Average", "Maximum", "Minimum", "Sum"]
Missing = Literal["missing", "notBreaching", "breaching", "ignore"]
STATISTICS: dict[Statistic, Callable[[list[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "Sum": sum,
}


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds between things that happen at once on paper. Both are assumptions: AWS states neither.

    `visible`: from a point's taking to an alarm that has judged it: 5 s until its period ends, 5 s for the rest.
    `action`: from the alarm to the new desired capacity.
    """

    visible: float = 10.0
    action: float = 5.0

    @property
    def steps(self) -> int:
        """Both together, in whole steps."""
        return -(-int(self.visible + self.action) // STEP_SECONDS)


class State(Enum):
    """An alarm's state."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(slots=True)
class Metrics:
    """The latest points of each metric, as an alarm sees them now. None: no point."""

    series: dict[str, deque[float | None]] = field(default_factory=dict)
    steps: int = 0
    """How many steps have been published."""

    def publish(self, values: dict[str, float | None]) -> None:
        """Add one step's points."""
        self.steps += 1
        for name, value in values.items():
            if name not in self.series:
                self.series[name] = deque(maxlen=HISTORY_STEPS)
            self.series[name].append(value)

    def last(self, name: str, steps: int) -> list[float | None]:
        """The last points, oldest first; fewer at the beginning."""
        points = self.series.get(name, deque())
        start = max(len(points) - steps, 0)
        return [points[index] for index in range(start, len(points))]

    def average(self, name: str, seconds: float) -> float | None:
        """The mean over the last `seconds`; None without a point."""
        points = [value for value in self.last(name, max(1, round(seconds / STEP_SECONDS))) if value is not None]
        return sum(points) / len(points) if points else None


@dataclass(frozen=True, slots=True)
class Alarm:
    """M of N periods above or below a threshold (PutMetricAlarm; the periods are whole steps)."""

    metric: str
    above: bool
    threshold: float
    period: int = STEP_SECONDS
    periods: int = 3
    datapoints: int = 3
    statistic: Statistic = "Average"
    missing: Missing = "missing"

    def due(self, metrics: Metrics) -> bool:
        """Whether a period has just ended, so that there is something new to judge."""
        return metrics.steps % (self.period // STEP_SECONDS) == 0

    def values(self, metrics: Metrics) -> list[float | None]:
        """The statistic of each of the last N periods, oldest first; None for one without a point."""
        steps = self.period // STEP_SECONDS
        points = metrics.last(self.metric, steps * self.periods)
        points[:0] = [None] * (steps * self.periods - len(points))
        found: list[float | None] = []
        for start in range(0, len(points), steps):
            known = [value for value in points[start : start + steps] if value is not None]
            found.append(STATISTICS[self.statistic](known) if known else None)
        return found

    def state(self, metrics: Metrics) -> State:
        """The state by the last N periods (docs.aws.amazon.com/AmazonCloudWatch, "Evaluating an alarm").

        What is missing counts as `missing` says; when all of it is missing and that says nothing, the state is
        INSUFFICIENT_DATA. "ignore" keeps no state here: it counts as not breaching.
        """
        values = self.values(metrics)
        if all(value is None for value in values) and self.missing == "missing":
            return State.INSUFFICIENT_DATA
        breaching = sum(self.missing == "breaching" if value is None else self._breaches(value) for value in values)
        return State.ALARM if breaching >= self.datapoints else State.OK

    def _breaches(self, value: float) -> bool:
        return value > self.threshold if self.above else value < self.threshold
