"""The Auto Scaling group in the simulation: launches, warm pool, drains, and what all of it costs in GPU hours.

It acts once per step (10 s): a host that is ready within a step serves from the step's end on, so boots are up to one
step longer than given. What is left out: spot interruptions, failed launches, zones, instance refreshes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from simulator.boot import Boot
from simulator.cluster import Cluster

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class WarmPool:
    """Hosts kept ready: at least `min_size`, and as many as make `max_prepared` with the desired capacity.

    `running`: they cost as much as a worker while they wait; stopped ones cost their volumes only.
    """

    min_size: int = 0
    max_prepared: int = 0
    running: bool = False

    def wanted(self, desired: int) -> int:
        """How many hosts wait (PutWarmPool: MaxGroupPreparedCapacity less the desired capacity, at least MinSize)."""
        return max(self.min_size, self.max_prepared - desired, 0)


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Bounds and times of a group. `minimums` are scheduled ones: (from second, minimum), in order of time."""

    min_size: int
    max_size: int
    initial: int
    boot: Boot
    drain_seconds: float = 600.0
    warm_pool: WarmPool | None = None
    minimums: tuple[tuple[float, int], ...] = ()


@dataclass(slots=True)
class Hours:
    """Seconds of hosts, by what they did."""

    working: float = 0.0
    """From launch to end, boot and drain included."""
    preparing: float = 0.0
    """A warm pool's hosts while they run."""
    stopped: float = 0.0

    @property
    def gpu_hours(self) -> float:
        """What is charged as instance time."""
        return (self.working + self.preparing) / HOUR


@dataclass(slots=True)
class Group:
    """One group. Call `step` once per step, after the cluster has advanced to `now`."""

    plan: GroupPlan
    cluster: Cluster
    desired: int = 0
    ready: dict[int, float] = field(default_factory=dict)
    """Workers in service and since when; oldest first."""
    booting: deque[float] = field(default_factory=deque)
    """When each launch will be ready, in any order."""
    draining: dict[int, float] = field(default_factory=dict)
    """Workers that leave, and when they are cut off."""
    warm: int = 0
    preparing: deque[float] = field(default_factory=deque)
    hours: Hours = field(default_factory=Hours)
    launched: int = 0

    def __post_init__(self) -> None:
        """Start with the initial fleet in service and the warm pool full."""
        self.desired = self._clamp(self.plan.initial, 0.0)
        for _ in range(self.desired):
            self.ready[self.cluster.join()] = float("-inf")  # long warmed up
        self.warm = self.plan.warm_pool.wanted(self.desired) if self.plan.warm_pool else 0

    @property
    def hosts(self) -> int:
        """Hosts that work: booting, in service or draining."""
        return len(self.ready) + len(self.booting) + len(self.draining)

    def in_service(self, now: float, warmup: float) -> int:
        """Workers whose warm-up is over: what AWS calls the current capacity in its arithmetic."""
        return sum(since + warmup <= now for since in self.ready.values())

    def minimum(self, now: float) -> int:
        """The least that may be desired now."""
        at = [least for start, least in self.plan.minimums if start <= now]
        return at[-1] if at else self.plan.min_size

    def want(self, capacity: int, now: float) -> None:
        """Set the desired capacity, within the bounds."""
        self.desired = self._clamp(capacity, now)

    def _clamp(self, capacity: int, now: float) -> int:
        return min(max(capacity, self.minimum(now)), self.plan.max_size)

    def step(self, now: float, seconds: float) -> None:
        """Charge the last `seconds`, then bring the group nearer to its desired capacity."""
        self._charge(seconds)
        self._leave(now)
        self.desired = self._clamp(self.desired, now)
        self._scale(now)
        self._arrive(now)
        self._refill(now)

    def _charge(self, seconds: float) -> None:
        running = bool(self.plan.warm_pool and self.plan.warm_pool.running)
        self.hours.working += self.hosts * seconds
        self.hours.preparing += (len(self.preparing) + self.warm * running) * seconds
        self.hours.stopped += self.warm * (not running) * seconds

    def _arrive(self, now: float) -> None:
        for _ in range(sum(at <= now for at in self.booting)):
            self.ready[self.cluster.join()] = now
        self.booting = deque(at for at in self.booting if at > now)
        self.warm += sum(at <= now for at in self.preparing)
        self.preparing = deque(at for at in self.preparing if at > now)

    def _leave(self, now: float) -> None:
        """A drained worker goes when it is empty, or at the limit with whatever it still has."""
        for worker, limit in list(self.draining.items()):
            if self.cluster.empty(worker) or now >= limit:
                self.cluster.leave(worker)
                del self.draining[worker]

    def _scale(self, now: float) -> None:
        missing = self.desired - len(self.ready) - len(self.booting)
        for _ in range(missing):
            self.launched += 1
            warm = self.warm > 0
            self.warm -= warm
            self.booting.append(now + (self.plan.boot.warm if warm else self.plan.boot.cold))
        for _ in range(-missing):
            self._one_less(now)

    def _one_less(self, now: float) -> None:
        """Not yet ready hosts go first, the latest launch before the others, as Kubernetes does it; AWS does not say.

        Then the oldest worker, the group's default when all have one launch template.
        """
        if self.booting:
            self.booting.pop()
            return
        worker = next(iter(self.ready))
        del self.ready[worker]
        self.cluster.drain(worker)
        self.draining[worker] = now + self.plan.drain_seconds

    def _refill(self, now: float) -> None:
        if self.plan.warm_pool is None:
            return
        wanted = self.plan.warm_pool.wanted(self.desired) - self.warm - len(self.preparing)
        for _ in range(wanted):
            self.preparing.append(now + self.plan.boot.cold)
        self.warm += min(wanted, 0) if self.warm + wanted >= 0 else -self.warm
