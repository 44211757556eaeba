"""What step and simple scaling policies do (EC2 Auto Scaling: as-scaling-simple-step.html)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from rehearsal.emulated_aws.alarms.target_tracking import Capacity

Kind = Literal["ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"]


@dataclass(frozen=True)
class Step:
    """One step; bounds are relative to the alarm's threshold, None is infinite (API_StepAdjustment.html)."""

    adjustment: int
    lower: float | None = None
    upper: float | None = None

    def holds(self, difference: float, *, above: bool) -> bool:
        """Whether the metric's distance from the threshold lies in this step.

        Of an alarm above its threshold the lower bound is inclusive and the upper exclusive; below it is the other way
        round (same page).
        """
        lower = -math.inf if self.lower is None else self.lower
        upper = math.inf if self.upper is None else self.upper
        return lower <= difference < upper if above else lower < difference <= upper


def step_of(steps: Sequence[Step], difference: float, *, above: bool) -> Step | None:
    """The step for a metric's distance from the threshold; None when no step covers it."""
    return next((step for step in steps if step.holds(difference, above=above)), None)


def change(kind: Kind, adjustment: int, current: int, least: int = 0) -> int:
    """The change of capacity that an adjustment means; `least` is MinAdjustmentMagnitude.

    as-scaling-simple-step.html, "Scaling adjustment types": percentages beyond 1 instance are cut towards zero, those
    below become 1.
    """
    if kind == "ExactCapacity":
        return adjustment - current
    if kind == "ChangeInCapacity":
        return adjustment
    exact = current * adjustment / 100
    if exact == 0:
        return 0
    sign = 1 if exact > 0 else -1
    return sign * max(1, int(abs(exact)), least)


def stepped(kind: Kind, step: Step, capacity: Capacity, least: int = 0) -> int:
    """Desired capacity after a step.

    as-scaling-simple-step.html, "Instance warmup": instances that warm up count as capacity that an earlier step added,
    so the same step twice adds once and a higher one adds the difference. On the way in, instances that terminate still
    count as current capacity. While instances warm up nothing is taken away (the page on cooldowns).
    """
    growing = step.adjustment > (capacity.desired if kind == "ExactCapacity" else 0)
    base = capacity.desired - capacity.warming if growing else capacity.desired + capacity.leaving
    wanted = capacity.within(base + change(kind, step.adjustment, base, least))
    if growing:
        return max(capacity.desired, wanted)
    return capacity.desired if capacity.warming else min(capacity.desired, wanted)


def simple(kind: Kind, adjustment: int, capacity: Capacity, least: int = 0) -> int:
    """Desired capacity after a simple scaling policy, which knows no warm-up."""
    return capacity.within(capacity.desired + change(kind, adjustment, capacity.desired, least))


def cooled_down(last: datetime | None, cooldown: int, now: datetime) -> bool:
    """Whether a simple scaling policy may act: its cooldown is over (ec2-auto-scaling-scaling-cooldowns.html).

    Target tracking and step scaling do not wait for a cooldown.
    """
    return last is None or now >= last + timedelta(seconds=cooldown)
