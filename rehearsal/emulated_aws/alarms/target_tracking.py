"""What a target tracking policy does (EC2 Auto Scaling: as-scaling-target-tracking.html)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from rehearsal.emulated_aws.alarms.evaluation import Rule
from rehearsal.emulated_aws.alarms.statistics import STANDARD_RESOLUTION

# The alarms that AWS makes for one-minute metrics: 3 of 3 data points above, 15 of 15 below (seen in consoles; since
# November 2024 AWS tunes them by itself, ec2-auto-scaling-highly-responsive.html, and does not say how).
HIGH_POINTS: Final = 3
LOW_SECONDS: Final = 15 * STANDARD_RESOLUTION
# For periods under a minute AWS documents no number of data points. An assumption: as many above as for one-minute
# metrics (30 s at 10 s), and below the same quarter of an hour.
HIGH_POINTS_SHORT: Final = 3
# as-scaling-target-tracking.html: capacity is removed when the metric is, usually, more than 10 % below the target.
# Captured consoles show 0.7 for predefined metrics too; which of the two AWS takes is not documented.
LOW_SHARE: Final = 0.9
# Same page: it "scales in more gradually", without a number. An assumption: one instance at a time.
SCALE_IN_STEP: Final = 1


@dataclass(frozen=True)
class Capacity:
    """A group as a policy sees it.

    Attributes:
        desired: desired capacity.
        minimum: MinSize.
        maximum: MaxSize.
        warming: instances of the desired capacity that are on their way or not warmed up yet; the metric does not show
            them.
        leaving: instances on their way out, no longer in the desired capacity.
    """

    desired: int
    minimum: int
    maximum: int
    warming: int = 0
    leaving: int = 0

    def within(self, wanted: int) -> int:
        """Between the group's minimum and maximum."""
        return min(max(wanted, self.minimum), self.maximum)


def high_alarm(target: float, period: int) -> Rule:
    """The alarm that scales out: without data it does nothing."""
    points = HIGH_POINTS if period >= STANDARD_RESOLUTION else HIGH_POINTS_SHORT
    return Rule("GreaterThanThreshold", target, period, points, points)


def low_alarm(target: float, period: int) -> Rule:
    """The alarm that scales in; missing data makes it INSUFFICIENT_DATA, which removes nothing (same page)."""
    points = max(1, LOW_SECONDS // period)
    return Rule("LessThanThreshold", target * LOW_SHARE, period, points, points)


def needed(metric: float, target: float, serving: int) -> int:
    """Instances with which a metric that is per instance would be at its target: proportional, rounded up.

    as-scaling-target-tracking.html: the metric must change inversely to the number of instances. A hair above a whole
    number, as floating point makes it, is that number.
    """
    return math.ceil(round(serving * metric / target, 9))


def out(metric: float, target: float, capacity: Capacity) -> int:
    """Desired capacity after the high alarm.

    ec2-auto-scaling-default-instance-warmup.html: instances that warm up do not contribute to the metric, but count as
    capacity; so what the others' load needs is compared with all of them, and no alarm adds it twice.
    """
    serving = max(0, capacity.desired - capacity.warming)
    wanted = needed(metric, target, serving) if serving else capacity.desired
    return max(capacity.desired, capacity.within(max(wanted, capacity.desired)))


def inward(metric: float | None, target: float, capacity: Capacity) -> int:
    """Desired capacity after the low alarm: never on missing data, never while instances warm up (same pages)."""
    if metric is None or capacity.warming:
        return capacity.desired
    wanted = max(needed(metric, target, capacity.desired), capacity.desired - SCALE_IN_STEP)
    return min(capacity.desired, capacity.within(wanted))
