"""A cluster that serves whatever it is told to, for tests of what surrounds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.cluster import Interval, Served
from simulator.histogram import Histogram


@dataclass
class MadeUpCluster:
    """`rate(now)` requests per second come, each in flight for `seconds`; a worker holds `room` within the SLO."""

    rate: Callable[[float], float]
    until: float
    seconds: float = 10.0
    room: float = 4.0
    now: float = 0.0
    routable: set[int] = field(default_factory=set)
    draining: dict[int, float] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    joined: int = 0
    arrived: int = 0
    attained: int = 0
    refused: int = 0

    def join(self) -> int:
        self.joined += 1
        self.routable.add(self.joined)
        return self.joined

    def drain(self, worker: int) -> None:
        self.routable.remove(worker)
        self.draining[worker] = self.now + self.seconds

    def empty(self, worker: int) -> bool:
        return self.now >= self.draining[worker]

    def leave(self, worker: int) -> None:
        del self.draining[worker]
        self.left.append(worker)

    @property
    def exhausted(self) -> bool:
        return self.now >= self.until

    def advance(self, until: float) -> Interval:
        start, self.now = self.now, until
        rate = self.rate(start) if start < self.until else 0.0
        arrivals, ready = round(rate * (until - start)), len(self.routable)
        in_flight = round(rate * self.seconds) if ready else 0
        attained = arrivals if ready and in_flight <= self.room * ready else 0
        refused = 0 if ready else arrivals
        self.arrived += arrivals
        self.attained += attained
        self.refused += refused
        return Interval(
            start, until, arrivals, arrivals - refused, refused, in_flight=in_flight, ready=ready, attained=attained
        )

    def served(self) -> Served:
        done = self.arrived - self.refused
        empty = Histogram.empty()
        return Served(self.arrived, done, self.attained, self.refused, 0, 0, 0, 0, 0, empty, empty, empty)
