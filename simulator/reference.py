"""The cluster in plain Python on the emulator's own EngineModel: slow, and what the fast kernel is held against."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from rehearsal.engine.batch import EngineModel, Event, Kind, QueueFullError, Work
from simulator.cluster import EngineProfile, Interval, RouterProfile, Served, Slo
from simulator.histogram import Histogram, bin_of, percentile
from simulator.traces import Chunk, Trace


class Arrival(NamedTuple):
    """One request of a trace."""

    at: float
    work: Work


@dataclass
class Worker:
    """One engine and what the router knows of it."""

    model: EngineModel
    routable: bool = True
    requests: dict[str, Arrival] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)


@dataclass
class Counts:
    """Everything counted over some time."""

    arrivals: int = 0
    completed: int = 0
    refused: int = 0
    lost: int = 0
    too_long: int = 0
    attained: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    ttft: Histogram = field(default_factory=Histogram.empty)
    itl: Histogram = field(default_factory=Histogram.empty)
    e2e: Histogram = field(default_factory=Histogram.empty)

    def add(self, other: Counts) -> None:
        """Add what another span counted."""
        for item in fields(self):
            mine, more = getattr(self, item.name), getattr(other, item.name)
            if isinstance(mine, Histogram):
                mine.counts[:] += more.counts
            else:
                setattr(self, item.name, mine + more)


def arrivals(trace: Trace) -> Iterator[Arrival]:
    """The requests of a trace, one by one."""
    number = 0
    for chunk in trace.chunks():
        for index in range(len(chunk)):
            yield _arrival(chunk, index, f"{number:012d}")
            number += 1


def _arrival(chunk: Chunk, index: int, key: str) -> Arrival:
    blocks = tuple(chunk.blocks[chunk.offsets[index] : chunk.offsets[index + 1]].tolist())
    prompt_blocks = blocks[: int(chunk.prompt_blocks[index])]
    answer = blocks if len(blocks) > len(prompt_blocks) else ()
    work = Work(key, int(chunk.prompt[index]), int(chunk.output[index]), prompt_blocks, answer)
    return Arrival(float(chunk.arrival[index]), work)


class ReferenceCluster:
    """Implements simulator.cluster.Cluster."""

    def __init__(self, trace: Trace, engine: EngineProfile, slo: Slo, router: RouterProfile | None = None) -> None:
        self.engine, self.slo = engine, slo
        self.router = router or RouterProfile()
        self.limits = engine.limits(trace.block_tokens)
        self.now = 0.0
        self.workers: dict[int, Worker] = {}
        self.events: list[Event] = []
        self._joined = 0
        self._arrivals = arrivals(trace)
        self._next = next(self._arrivals, None)
        self._waiting: deque[Arrival] = deque()
        self._tree: OrderedDict[int, set[int]] = OrderedDict()
        self._total, self._span = Counts(), Counts()

    def join(self) -> int:
        """As Cluster.join."""
        self._joined += 1
        self.workers[self._joined] = Worker(EngineModel(self.engine.rates, self.limits))
        return self._joined

    def drain(self, worker: int) -> None:
        """As Cluster.drain."""
        self.workers[worker].routable = False

    def empty(self, worker: int) -> bool:
        """As Cluster.empty."""
        return not self.workers[worker].requests

    def leave(self, worker: int) -> None:
        """As Cluster.leave."""
        self._span.lost += len(self.workers.pop(worker).requests)
        for known in self._tree.values():
            known.discard(worker)

    @property
    def exhausted(self) -> bool:
        """As Cluster.exhausted."""
        return not (self._next or self._waiting or any(worker.requests for worker in self.workers.values()))

    def advance(self, until: float) -> Interval:
        """As Cluster.advance."""
        start = self.now
        self._dispatch_waiting(start)
        while self._next is not None and self._next.at <= until:
            self._arrive(self._next)
            self._next = next(self._arrivals, None)
        self._expire(until)
        for worker in self.workers.values():
            self._run(worker, until)
        self.now = until
        return self._interval(start)

    def served(self) -> Served:
        """As Cluster.served."""
        total = Counts()
        total.add(self._total)
        total.add(self._span)
        shown = {item.name: getattr(total, item.name) for item in fields(total) if item.name != "arrivals"}
        return Served(requests=total.arrivals, **shown)

    def _arrive(self, arrival: Arrival) -> None:
        self._expire(arrival.at)
        for worker in self.workers.values():
            self._run(worker, arrival.at)
        self._span.arrivals += 1
        work = arrival.work
        if not self.engine.fits(work.prompt_tokens, work.output_tokens):
            self._span.too_long += 1
            self._span.refused += 1
        elif any(worker.routable for worker in self.workers.values()):
            self._route(arrival, arrival.at)
        elif self.router.patience_seconds > 0 and self._in_flight() < self.router.max_concurrent_requests:
            self._waiting.append(arrival)
        else:
            self._span.refused += 1

    def _expire(self, now: float) -> None:
        while self._waiting and self._waiting[0].at + self.router.patience_seconds <= now:
            self._waiting.popleft()
            self._span.refused += 1

    def _dispatch_waiting(self, now: float) -> None:
        while self._waiting and any(worker.routable for worker in self.workers.values()):
            self._route(self._waiting.popleft(), now)

    def _in_flight(self) -> int:
        return len(self._waiting) + sum(len(worker.requests) for worker in self.workers.values())

    def _route(self, arrival: Arrival, now: float) -> None:
        number = self._choose(arrival.work)
        worker = self.workers[number]
        if self._in_flight() >= self.router.max_concurrent_requests:
            self._span.refused += 1
            return
        try:
            worker.model.offer(arrival.work, now)
        except QueueFullError:
            self._span.refused += 1
            return
        worker.requests[arrival.work.key] = arrival
        self._remember(arrival.work.blocks, number)
        self._run(worker, now)

    def _choose(self, work: Work) -> int:
        loads = {number: len(worker.requests) for number, worker in self.workers.items() if worker.routable}
        idlest = min(loads, key=loads.__getitem__)
        low, high = loads[idlest], max(loads.values())
        router = self.router
        if high - low > router.balance_abs_threshold and high > router.balance_rel_threshold * low:
            return idlest
        depth, matched = self._longest(work.blocks, loads)
        if depth and depth * self.limits.block_tokens > router.cache_threshold * work.prompt_tokens:
            return min(matched, key=lambda number: (loads[number], number))
        return idlest

    def _longest(self, blocks: tuple[int, ...], loads: dict[int, int]) -> tuple[int, set[int]]:
        depth, matched = 0, set(loads)
        for key in blocks:
            further = matched & self._tree.get(key, set())
            if not further:
                break
            depth, matched = depth + 1, further
        return depth, matched

    def _remember(self, blocks: tuple[int, ...], number: int) -> None:
        """From leaf to root, so that no block is forgotten before one that builds on it."""
        for key in reversed(blocks):
            self._tree.setdefault(key, set()).add(number)
            self._tree.move_to_end(key)
        while len(self._tree) > self.router.tree_blocks:
            self._tree.popitem(last=False)

    def _run(self, worker: Worker, until: float) -> None:
        for event in worker.model.advance(until):
            self.events.append(event)
            self._take(worker, event)

    def _take(self, worker: Worker, event: Event) -> None:
        arrival = worker.requests[event.key]
        span = self._span
        if event.kind is Kind.ADMITTED:
            span.prompt_tokens += arrival.work.prompt_tokens
            span.cached_tokens += event.cached_tokens
        elif event.kind is Kind.FIRST_TOKEN:
            worker.first[event.key] = event.at
            span.ttft.counts[bin_of(event.at - arrival.at)] += 1
        else:
            self._finish(worker, arrival, event.at)

    def _finish(self, worker: Worker, arrival: Arrival, at: float) -> None:
        span, output = self._span, arrival.work.output_tokens
        del worker.requests[arrival.work.key]
        first = worker.first.pop(arrival.work.key)
        itl = (at - first) / (output - 1) if output > 1 else 0.0
        if output > 1:
            span.itl.counts[bin_of(itl)] += 1
        span.e2e.counts[bin_of(at - arrival.at)] += 1
        span.completed += 1
        span.output_tokens += output
        span.attained += first - arrival.at <= self.slo.ttft_seconds and itl <= self.slo.itl_seconds

    def _interval(self, start: float) -> Interval:
        span, self._span = self._span, Counts()
        self._total.add(span)
        models = [worker.model for worker in self.workers.values() if worker.routable]
        usage = [model.cache.used_tokens / self.limits.max_total_tokens for model in models] or [0.0]
        queued = len(self._waiting) + sum(len(model.waiting) for model in models)
        running = sum(len(model.running) + len(model.prefilling) for model in models)
        shown = {name: getattr(span, name) for name in Interval.__slots__ if hasattr(span, name)}
        return Interval(
            start=start,
            end=self.now,
            in_flight=queued + running,
            queued=queued,
            running=running,
            ready=len(models),
            kv_usage_mean=sum(usage) / len(usage),
            kv_usage_max=max(usage),
            ttft_p90=percentile(span.ttft.counts, 0.9),
            itl_p90=percentile(span.itl.counts, 0.9),
            draining_in_flight=sum(len(w.requests) for w in self.workers.values() if not w.routable),
            **shown,
        )
