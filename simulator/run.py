"""The loop of the simulation: every 10 seconds the cluster serves, metrics are published, the policy decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isnan

from simulator import policies as name
from simulator.capacity import Group, GroupPlan
from simulator.cloudwatch import STEP_SECONDS, Delays, Metrics
from simulator.cluster import Cluster, Interval, Served
from simulator.load_meter import LoadMeter
from simulator.policies import Policy, View

DRAWN_POINTS = 2_000
"""Points kept for the picture at most; when there are more, every two become one."""


@dataclass(frozen=True, slots=True)
class Point:
    """Some seconds in a row for the picture; `ttft_p90` is the mean of the steps' p90 that have one."""

    start: float
    seconds: float
    arrivals: int
    desired: int
    ready: int
    in_flight: int
    ttft_p90: float | None

    def joined(self, after: Point) -> Point:
        """This and the one after it as one."""
        known = [value for value in (self.ttft_p90, after.ttft_p90) if value is not None]
        return Point(
            self.start,
            self.seconds + after.seconds,
            self.arrivals + after.arrivals,
            max(self.desired, after.desired),
            min(self.ready, after.ready),
            max(self.in_flight, after.in_flight),
            max(known) if known else None,
        )


@dataclass(slots=True)
class Course:
    """The course of a run, in a bounded number of points."""

    points: list[Point] = field(default_factory=list)
    steps: int = 1
    """How many steps a point stands for."""
    _pending: list[Point] = field(default_factory=list)

    def add(self, point: Point) -> None:
        """Add one step."""
        self._pending.append(point)
        if len(self._pending) < self.steps:
            return
        self.points.append(_joined(self._pending))
        self._pending = []
        if len(self.points) > DRAWN_POINTS:
            self.points = [_joined(self.points[at : at + 2]) for at in range(0, len(self.points), 2)]
            self.steps *= 2


def _joined(points: list[Point]) -> Point:
    first = points[0]
    for point in points[1:]:
        first = first.joined(point)
    return first


@dataclass(slots=True)
class Run:
    """What a run left behind."""

    served: Served
    group: Group
    changes: list[tuple[float, int]]
    """Every change of the desired capacity: when, and to what; the first is the start."""
    course: Course
    seconds: float
    """How long hosts were charged: up to the horizon."""


def intervals(cluster: Cluster, horizon: float, step: int = STEP_SECONDS) -> Iterator[Interval]:
    """Advance step by step (s) up to the horizon, then until nothing is in flight any more."""
    count = 0
    while count * step < horizon or not cluster.exhausted:
        count += 1
        yield cluster.advance(float(count * step))


def simulate(  # noqa: PLR0913, PLR0917 - the parts of a simulation
    cluster: Cluster,
    plan: GroupPlan,
    policy: Policy,
    horizon: float,
    delays: Delays | None = None,
    progress: Callable[[float], None] | None = None,
    step: int = STEP_SECONDS,
    meter: LoadMeter | None = None,
) -> Run:
    """Run a trace to its end. Hosts are charged up to `horizon` (s), the same for every policy that is compared.

    Policies on metrics need the default `step`; a schedule can do with longer ones, in whole windows of it.

    `meter` makes the prompt load; without one there is none.

    After the horizon nothing is decided any more; what is in flight is served to its end.
    """
    group, metrics, course = Group(plan, cluster), Metrics(), Course()
    late: deque[Interval | None] = deque([None] * (Delays() if delays is None else delays).steps)
    changes = [(0.0, group.desired)]
    for interval in intervals(cluster, horizon, step):
        now = interval.end
        charged = min(interval.end, horizon) - min(interval.start, horizon)
        course.add(_point(interval, group))
        if charged > 0:
            late.append(interval)
            seen = late.popleft()
            if seen is not None:
                metrics.publish({**measured(seen), name.PROMPT_LOAD: meter.read(seen) if meter else None})
                _apply(policy.decide(_view(now, group, metrics)), group, now, changes)
        group.step(now, charged)
        if progress:
            progress(now)
    return Run(cluster.served(), group, changes, course, horizon)


def _apply(wanted: int | None, group: Group, now: float, changes: list[tuple[float, int]]) -> None:
    if wanted is not None:
        group.want(wanted, now)
    if group.desired != changes[-1][1]:
        changes.append((now, group.desired))


def _view(now: float, group: Group, metrics: Metrics) -> View:
    return View(
        now,
        metrics,
        group.desired,
        len(group.ready),
        len(group.draining),
        lambda warmup: group.in_service(now, warmup),
        group.minimum(now),
        group.plan.max_size,
    )


def measured(interval: Interval) -> dict[str, float | None]:
    """The points of one step: zeros included, per worker of those that are ready, all of it when there is none."""
    ready = max(interval.ready, 1)
    rate = interval.arrivals / (interval.end - interval.start)
    return {
        name.IN_FLIGHT: float(interval.in_flight),
        name.QUEUED: float(interval.queued),
        name.READY: float(interval.ready),
        name.LOAD: interval.in_flight / ready,
        name.ARRIVALS: float(interval.arrivals),
        name.RATE_PER_WORKER: rate / ready,
        name.NEW_SEQUENCES: max(interval.queued / ready, float(interval.arrivals > 0)),
        name.KV_USAGE: interval.kv_usage_mean,
    }


def _point(interval: Interval, group: Group) -> Point:
    ttft = None if isnan(interval.ttft_p90) else interval.ttft_p90
    return Point(
        interval.start,
        interval.end - interval.start,
        interval.arrivals,
        group.desired,
        interval.ready,
        interval.in_flight,
        ttft,
    )
