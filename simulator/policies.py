"""How policies decide: target tracking and step scaling as EC2 does them, and the two Kubernetes autoscalers.

A policy sees what an operator's would: published metrics and the group's numbers. `simulator.recipes` makes the real
ones of these parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

from rehearsal.emulated_aws.alarms import target_tracking
from simulator.cloudwatch import STEP_SECONDS, Alarm, Metrics, State

IN_FLIGHT, QUEUED, READY, LOAD = "InFlight", "Queued", "ReadyWorkers", "LoadPerWorker"
RATE_PER_WORKER, ARRIVALS = "RequestRatePerWorker", "Arrivals"
NEW_SEQUENCES, KV_USAGE, PROMPT_LOAD = "NewSequences", "KvUsage", "PromptLoad"

MINUTE = 60
STEPS_PER_MINUTE = MINUTE // STEP_SECONDS
GUARDED = (IN_FLIGHT, READY, ARRIVALS, KV_USAGE)
"""What must be known before a worker leaves."""


@dataclass(frozen=True, slots=True)
class View:
    """What is known when a decision is made. `in_service(warmup)` counts workers whose warm-up is over."""

    now: float
    metrics: Metrics
    desired: int
    ready: int
    draining: int
    in_service: Callable[[float], int]
    min_size: int
    max_size: int


class Policy(Protocol):
    """Decides the desired capacity, once per step."""

    def decide(self, view: View) -> int | None:
        """The capacity wanted now; None leaves it as it is."""


@dataclass(slots=True)
class Fixed:
    """Always the same number of workers."""

    workers: int

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        return None if view.desired == self.workers else self.workers


@dataclass(slots=True)
class Schedule:
    """A list of (from second, workers), in order of time."""

    changes: tuple[tuple[float, int], ...]

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        past = [workers for start, workers in self.changes if start <= view.now]
        return past[-1] if past else None


@dataclass(slots=True)
class TargetTracking:
    """A target tracking policy of EC2 Auto Scaling on a metric that is already per worker.

    The numbers and the arithmetic are the rehearsal's (`rehearsal.emulated_aws.alarms.target_tracking`, which names the
    pages): out at 3 of 3 periods above the target, in (unless it is switched off) after a quarter of an hour below
    0.9 of it, by one. Workers that warm up count as capacity but not as serving.
    """

    metric: str
    target: float
    warmup: float
    period: int = MINUTE
    scale_in: bool = True
    _high: Alarm = field(init=False)
    _low: Alarm = field(init=False)

    def __post_init__(self) -> None:
        """Make the two alarms that AWS makes for such a policy."""
        high, low = target_tracking.high_alarm(self.target, self.period), target_tracking.low_alarm(self.target, MINUTE)
        self._high = Alarm(self.metric, True, high.threshold, self.period, high.periods, high.points)  # noqa: FBT003
        self._low = Alarm(self.metric, False, low.threshold, MINUTE, low.periods, low.points)  # noqa: FBT003

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        if not self._high.due(view.metrics):
            return None
        value = self._high.values(view.metrics)[-1]
        warming = max(view.desired - view.in_service(self.warmup), 0)
        capacity = target_tracking.Capacity(view.desired, view.min_size, view.max_size, warming)
        if value is not None and self._high.state(view.metrics) is State.ALARM:
            return target_tracking.out(value, self.target, capacity)
        if self.scale_in and self._low.due(view.metrics) and self._low.state(view.metrics) is State.ALARM:
            return target_tracking.inward(value, self.target, capacity)
        return None


@dataclass(slots=True)
class StepOut:
    """One worker more while an alarm is up, and no second one while the first still warms up (step scaling)."""

    alarm: Alarm
    warmup: float

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        if not self.alarm.due(view.metrics) or self.alarm.state(view.metrics) is not State.ALARM:
            return None
        return max(view.desired, view.in_service(self.warmup) + 1)


@dataclass(slots=True)
class GuardedIn:
    """One worker less, when the others could have carried the load in every minute of the quiet time.

    The expression of stacks.scaling.ScalingPlan.may_leave (which takes a minute's mean prompt load), minute by minute:
    the number of workers did not change, none drains, the most that was in flight is below `load` for each of the
    others, the highest prompt load below `prompt_load` for each, and the KV memory below its limit. A minute without
    data is not quiet, but without a prompt load it may be: pools without streams have none. The last worker goes only
    where none at all is a choice, and without any request.
    """

    load: float
    quiet_seconds: int
    kv_usage: float
    prompt_load: float = 0.0
    """0: not looked at, as with `kv_usage`."""
    _quiet: int = 0
    """Quiet minutes in a row."""

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        if view.metrics.steps % STEPS_PER_MINUTE:
            return None
        self._quiet = self._quiet + 1 if self._may_leave(view) else 0
        enough = self._quiet >= max(1, self.quiet_seconds // MINUTE)
        return view.desired - 1 if enough and view.desired > view.min_size else None

    def _may_leave(self, view: View) -> bool:
        minute = {name: view.metrics.last(name, STEPS_PER_MINUTE) for name in (*GUARDED, PROMPT_LOAD)}
        known = {name: [point for point in points if point is not None] for name, points in minute.items()}
        if not all(known[name] for name in GUARDED):
            return False
        least, most, in_flight = min(known[READY]), max(known[READY]), max(known[IN_FLIGHT])
        if least != most or view.draining:
            return False
        if least <= 1:
            return least == 1 and view.min_size == 0 and in_flight < 1 and not any(known[ARRIVALS])
        usage = sum(known[KV_USAGE]) / len(known[KV_USAGE])
        room = not self.kv_usage or usage * least < self.kv_usage * (least - 1)
        bears = not self.prompt_load or max(known[PROMPT_LOAD], default=0.0) * least < self.prompt_load * (least - 1)
        return room and bears and least > max(view.min_size, 1) and in_flight < self.load * (least - 1)


@dataclass(slots=True)
class WakeUp:
    """From zero: the first request starts one worker (and is refused until that serves)."""

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        asked = view.metrics.last(ARRIVALS, 1)
        return 1 if view.desired == 0 and asked and asked[0] else None


@dataclass(slots=True)
class Together:
    """Several policies of one group: out when any says so, to the highest; in only when none says out."""

    parts: tuple[Policy, ...]

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        wanted = [capacity for part in self.parts if (capacity := part.decide(view)) is not None]
        return max(wanted) if wanted else None


@dataclass(slots=True)
class Hpa:
    """The horizontal pod autoscaler: ceil(workers x ratio), tolerance 0.1, a window before it goes in.

    `ratio` is metric over target; `total`: the metric is a sum, so the target is per worker (AverageValue). Out at most
    to double or by four per 15 s, whatever is more; the highest wish of the last `window` seconds counts for going in
    (300 s by default; kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale). It looks every 15 s; here
    every step.
    """

    metric: str
    target: float
    total: bool = False
    window: float = 300.0
    tolerance: float = 0.1
    _wishes: deque[tuple[float, int]] = field(default_factory=deque)

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        value = view.metrics.last(self.metric, 1)
        if not value or value[0] is None:
            return None
        wish = self._wish(view, value[0])
        self._wishes.append((view.now, wish))
        while self._wishes[0][0] < view.now - self.window:
            self._wishes.popleft()
        highest = max(wanted for _, wanted in self._wishes)
        if wish > view.desired:
            return min(wish, max(view.desired * 2, view.desired + 4))
        return min(view.desired, highest)

    def _wish(self, view: View, value: float) -> int:
        if self.total:
            return max(ceil(value / self.target), 1)
        ratio = value / self.target
        return view.desired if abs(ratio - 1) <= self.tolerance else max(ceil(view.ready * ratio), 1)


@dataclass(slots=True)
class Kpa:
    """Knative's autoscaler on concurrency: the mean of 60 s; of the last step while that asks for twice what is ready.

    Windows of 60 s and 6 s (here one step), panic at 200 %, in by half at most (knative.dev, "Configuring the
    Autoscaler" and its defaults); while it panics it does not go in.
    """

    target: float
    stable: float = 60.0
    _panic_until: float = 0.0

    def decide(self, view: View) -> int | None:
        """As Policy.decide."""
        mean, burst = view.metrics.average(IN_FLIGHT, self.stable), view.metrics.average(IN_FLIGHT, STEP_SECONDS)
        if mean is None or burst is None:
            return None
        wanted, panic = ceil(mean / self.target), ceil(burst / self.target)
        if panic >= 2 * max(view.ready, 1):
            self._panic_until = view.now + self.stable
        if view.now < self._panic_until:
            return max(view.desired, panic, wanted)
        return max(wanted, view.ready // 2, 1)
