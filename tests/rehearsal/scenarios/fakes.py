"""A made-up fleet under a made-up load, on a clock that nobody waits for; it behaves as a test wants."""

from __future__ import annotations

import heapq
import itertools
import json
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rehearsal import faults
from rehearsal.orders import (
    AwsFault,
    AwsRestored,
    Capacity,
    EnginesRestored,
    MetadataDown,
    NextEnginesBroken,
    Order,
    SignalProgram,
    SpotNotice,
)
from rehearsal.scenarios.timeline import IN_SERVICE, Sample
from tests.rehearsal.scenarios.autopilot import Autopilot
from tests.rehearsal.scenarios.behaviour import Behaviour, Flight, Worker
from tests.rehearsal.scenarios.support import lost, record, refused
from user_data.node_config import AGENT_LOG, DISCOVERY_LOG

if TYPE_CHECKING:
    from collections.abc import Callable

    from rehearsal.scenarios.prompts import LoadPlan
    from rehearsal.scenarios.record import Record

TICK_SECONDS = 0.25
FIRST_BYTE_SECONDS = 1.5


@dataclass
class Fleet:
    """Reacts to orders and to the clock, and stands in for the module `time`, boto3's clients and the load."""

    behaviour: Behaviour
    zones: tuple[str, ...]
    machines: Path
    now: float = 1_800_000_000.0
    desired: int = 4
    workers: dict[str, Worker] = field(default_factory=dict)
    router_up: bool = True
    router_host: str = "i-router1"
    records: list[Record] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    look: Callable[[], Sample] | None = None
    plan: LoadPlan | None = None
    added_slots: int = 0
    activities: list[dict[str, Any]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refreshing: list[Worker] = field(default_factory=list)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _flights: dict[int, Flight] = field(default_factory=dict)
    _pauses: dict[int, float] = field(default_factory=dict)
    _full: set[str] = field(default_factory=set)
    _aws_fails: bool = False
    _next_broken: bool = False
    _cached: int = 480
    _dice: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - repeatable is the point

    def __post_init__(self) -> None:
        self.autopilot = Autopilot(self)
        for _ in range(self.desired):
            worker = self._made()
            worker.state, worker.routed, worker.new = IN_SERVICE, True, False

    # The clock, in place of the module `time`.

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + TICK_SECONDS, until)
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            self._drain()
            self._load()
            self.autopilot.tick()
            if self.look is not None:
                self.samples.append(self.look())

    def _later(self, seconds: float | None, action: Callable[[], None]) -> None:
        if seconds is not None:
            heapq.heappush(self._events, (self.now + seconds, next(self._numbers), action))

    # The group.

    def resize(self, desired: int) -> None:
        self.desired = desired
        self._fill()
        leaving = sorted(self._staying(), key=lambda worker: (worker.state == IN_SERVICE, worker.id))
        for worker in leaving[: max(0, len(leaving) - desired)]:
            self._terminate(worker)

    def dismiss(self, name: str) -> None:
        self.desired -= 1
        self._terminate(self.workers[name])

    def why(self) -> str:
        return " ".join([faults.NO_KERNEL_IMAGE, *self.broken]) if self.behaviour.says_why else "every worker serves"

    def refresh(self) -> None:
        """Replace every worker, by the book: the new one serves before the old one goes."""
        old = self._staying()
        self.refreshing = old[self.behaviour.refresh_forgets :]
        if self.behaviour.refresh_at_once:
            for worker in self.refreshing:
                self._terminate(worker)
        else:
            self._refresh_next()

    @property
    def refreshed(self) -> bool:
        return not any(worker.id in self.workers for worker in self.refreshing) and all(
            worker.state == IN_SERVICE for worker in self.workers.values()
        )

    def _refresh_next(self) -> None:
        old = next((worker for worker in self.refreshing if worker.state == IN_SERVICE), None)
        if old is not None:
            self._launch()
            self._later(10.0, lambda: self._terminate(old))
            self._later(11.0, self._refresh_next)

    def _staying(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if not worker.state.startswith("Terminating")]

    def _fill(self) -> None:
        for _ in range(self.desired - len(self._staying())):
            self._launch()

    def _made(self) -> Worker:
        number = next(self._numbers)
        full = set() if self.behaviour.uses_full_zone else self._full
        taken = Counter(worker.zone for worker in self.workers.values())
        zone = min((zone for zone in self.zones if zone not in full), key=lambda zone: taken[zone])
        if self.behaviour.uses_full_zone and self._full:
            (zone,) = self._full
        worker = Worker(f"i-{number:04x}", f"http://127.64.1.{number}:30000", zone)
        self.workers[worker.id] = worker
        return worker

    def _launch(self) -> None:
        worker = self._made()
        self._cached = self.behaviour.cached_after_growth
        if self._full and self.behaviour.says_capacity:
            message = f"We do not have sufficient capacity in {', '.join(self._full)}."
            self.activities.append({"StatusCode": "Failed", "StatusMessage": message})
        worker.broken = self._next_broken
        if worker.broken:
            self.broken.append(worker.id)
            self._later(self.behaviour.gives_up_after, lambda: self._terminate(worker))
        if not worker.broken or self.behaviour.broken_gets_ready:
            self._later(self.behaviour.boot, lambda: self._enter(worker))

    def _enter(self, worker: Worker) -> None:
        if worker.id in self.workers and worker.state == "Pending:Wait":
            worker.state = IN_SERVICE
            self._later(self.behaviour.routed_after, lambda: self._route(worker, worker.state == IN_SERVICE))

    def _terminate(self, worker: Worker) -> None:
        if worker not in self._staying():
            return
        if worker.state == IN_SERVICE:
            worker.state = "Terminating:Wait"
            self._later(self.behaviour.unrouted_after, lambda: self._route(worker, False))
            self._beat(worker)
        else:
            del self.workers[worker.id]
        self._fill()

    def _beat(self, worker: Worker) -> None:
        if worker.id in self.workers and self.behaviour.beats:
            self._log(worker.id, "heartbeat")
            self._later(10.0, lambda: self._beat(worker))

    def _drain(self) -> None:
        for worker in list(self.workers.values()):
            if worker.state != "Terminating:Wait" or worker.let_go or (worker.routed and self.behaviour.drains):
                continue
            busy = any(flight.worker is worker for flight in self._flights.values())
            if not busy or not self.behaviour.drains:
                worker.let_go = True
                self._later(self.behaviour.hook_after, lambda worker=worker: self._let_go(worker))  # type: ignore[misc]

    def _let_go(self, worker: Worker) -> None:
        self._log(worker.id, "hook_completed", words=self.behaviour.hook_words)
        self._break(worker)
        del self.workers[worker.id]
        self.desired += self.behaviour.launches_for_the_gone
        self._fill()

    # The router and the load behind it.

    def _route(self, worker: Worker, routed: bool) -> None:
        worker.routed = routed

    def routed(self) -> frozenset[str] | None:
        return frozenset(w.url for w in self.workers.values() if w.routed) if self.router_up else None

    def _load(self) -> None:
        for slot, flight in list(self._flights.items()):
            if flight.ends <= self.now:
                self._end(slot, flight.ends, record)
        slots = self.plan.concurrency + self.added_slots if self.plan else 0
        for slot in range(self.behaviour.idle_slots, slots):
            if slot not in self._flights and self._pauses.get(slot, 0.0) <= self.now:
                self._send(slot)

    def load_per_worker(self) -> tuple[float, int]:
        """Requests in flight per worker in service that is routed, and how many these are."""
        ready = sum(worker.routed and worker.state == IN_SERVICE for worker in self.workers.values())
        return len(self._flights) / max(1, ready), ready

    def _pick(self) -> Worker | None:
        usable = [worker for worker in self.workers.values() if worker.routed and worker.alive]
        loads = Counter(flight.worker.id for flight in self._flights.values())
        weight = {True: self.behaviour.weight_of_new, False: 1.0}
        return min(usable, key=lambda worker: loads[worker.id] / weight[worker.new], default=None)

    def _send(self, slot: int) -> None:
        worker = self._pick()
        if not self.router_up or worker is None:
            self._pauses[slot] = self.now + 1.0
            name, now = f"r{next(self._numbers)}", self.now
            self.records.append(refused(name, sent=now, first_byte=None, ended=now, worker=None))
            return
        assert self.plan is not None
        seconds = min(self._dice.uniform(*self.plan.stream_seconds), self.behaviour.longest)
        first_byte, ends = self.now + FIRST_BYTE_SECONDS, self.now + seconds
        if worker.hung:
            first_byte = ends = math.inf
        self._flights[slot] = Flight(worker, self.now, first_byte, ends, self._cached)

    def _end(self, slot: int, at: float, become: Callable[..., Record]) -> None:
        flight = self._flights.pop(slot)
        if self.behaviour.loses_first and not self.records:
            become = lost
        first_byte = flight.first_byte if flight.first_byte <= at else None
        times = {"sent": flight.sent, "first_byte": first_byte, "ended": at}
        name = f"r{next(self._numbers)}"
        self.records.append(become(name, worker=flight.worker.url, cached_tokens=flight.cached, **times))

    def _break(self, worker: Worker | None) -> None:
        """Cut what has bytes from a worker (None: from any); the rest is sent again if the fleet is good."""
        for slot, flight in list(self._flights.items()):
            if worker is not None and flight.worker is not worker:
                continue
            other = None if worker is None or self.behaviour.loses_unanswered else self._pick()
            if flight.first_byte <= self.now or other is None:
                self._end(slot, self.now, lost)
            else:
                flight.worker, flight.first_byte, flight.ends = other, self.now + FIRST_BYTE_SECONDS, self.now + 2.0

    def finish(self) -> tuple[Record, ...]:
        """Every request ends."""
        for slot, flight in list(self._flights.items()):
            self._end(slot, flight.ends, record)
        return tuple(self.records)

    # What the scenarios order.

    def obey(self, order: Order) -> None:
        match order:
            case SignalProgram(instance=name, program="engine", signal=signal):
                self._stop_engine(self.workers[name], hangs=signal == "STOP")
            case SignalProgram(program="router"):
                self.end_router(self.behaviour.router_back_after)
            case SpotNotice(instance=name):
                self._terminate(self.workers[name])
            case AwsFault(kind=kind):
                self._aws_fails = kind != "slow"
                if self._aws_fails and self.behaviour.notices_aws:
                    self._log(self.router_host, "aws_unavailable")
                self._outage()
            case AwsRestored() if self._aws_fails:
                self._aws_fails = False
                self._later(self.behaviour.aws_back_after, lambda: self._log(self.router_host, "aws_available"))
            case MetadataDown():
                self._outage()
            case Capacity(zone=zone, available=available):
                self._full = self._full - {zone} if available else self._full | {zone}
            case NextEnginesBroken() | EnginesRestored():
                self._next_broken = isinstance(order, NextEnginesBroken)
            case _:
                pass
        self.now += self.behaviour.order_takes

    def _outage(self) -> None:
        victim = next(iter(self.workers.values()))
        if self.behaviour.outage_takes == "routing":
            self._route(victim, False)
            self._later(3.0, lambda: self._route(victim, True))
        if self.behaviour.outage_takes == "service":
            victim.state = "Standby"

    def _stop_engine(self, victim: Worker, *, hangs: bool) -> None:
        victim.alive, victim.hung = hangs, hangs
        self._later(self.behaviour.dead_unrouted_after, lambda: self._route(victim, victim.alive and not victim.hung))
        if not hangs:
            self._break(victim)
            self._later(self.behaviour.restarts_after, lambda: self._restarted(victim))
            return
        for flight in self._flights.values():
            if flight.worker is victim:
                flight.first_byte = flight.first_byte if flight.first_byte <= self.now else math.inf
                flight.ends = math.inf
        self._later(self.behaviour.hang_ends_after, lambda: self._stop_engine(victim, hangs=False))

    def _restarted(self, worker: Worker) -> None:
        worker.alive = worker.routed = True
        self._log(worker.id, "worker_ready")

    def end_router(self, back_after: float | None) -> None:
        self.router_up = False
        self._break(None)
        self._later(back_after, lambda: setattr(self, "router_up", True))

    def replace_router_host(self) -> None:
        self.router_host = "i-router2"
        self.end_router(self.behaviour.router_back_after)

    def _log(self, machine: str, event: str, **fields: Any) -> None:
        path = self.machines / machine / (AGENT_LOG if machine in self.workers else DISCOVERY_LOG).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        moment = datetime.fromtimestamp(self.now, UTC).isoformat()
        with path.open("a") as log:
            log.write(json.dumps({"time": moment, "event": event} | fields) + "\n")
