"""The cluster of rates: a whole fortnight in seconds, because it knows no single request.

One number is followed, the requests in flight. All workers share it evenly, and each finishes as many a second as
`simulator.curve` says an engine with its share does; more than it can run waits in line. So a change of the load takes
effect with the delay that the requests themselves have. A request is judged by the SLO as it comes, by the load and the
line that it finds; time to first token and inter-token time are taken as independent. Workers that join or leave change
the shares at once, and a cold cache is not modelled: `cached` of the prompt tokens are in the caches, always. Requests
too long for any engine are not modelled either.

Held against the event mode by tests/simulator/test_fluid.py, where the tolerances stand.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from simulator.cluster import EngineProfile, Interval, RouterProfile, Served, Slo
from simulator.curve import LARGE_FLEET, Curve, Load, curve, ttft_within
from simulator.histogram import BINS, Histogram, bin_of
from simulator.traces.rates import SIZE_VARIATION, RateTrace

LONGEST_STEP_SECONDS = 5.0
LEFT_OVER = 0.5
"""Less than half a request is none."""
P90_NORMAL = 1.2816
PARTS = ((2, 4), (7, 1), (12, 6), (17, 0), (22, 7), (27, 3), (32, 5), (37, 2))
"""Eight prefill times out of the forty, each with one of the eight parts of an exponential wait, well mixed."""
EXPONENTIAL_EIGHTHS = tuple(-np.log(1 - (2 * part + 1) / 16) for part in range(8))
NORMAL_EIGHTHS = (-1.534, -0.887, -0.489, -0.157, 0.157, 0.489, 0.887, 1.534)


@dataclass
class _Flow:
    """Counted so far, in fractions of requests."""

    arrivals: float = 0.0
    completed: float = 0.0
    refused: float = 0.0
    lost: float = 0.0
    attained: float = 0.0
    prompt_tokens: float = 0.0
    cached_tokens: float = 0.0
    output_tokens: float = 0.0

    def rounded(self) -> dict[str, int]:
        return {item.name: round(getattr(self, item.name)) for item in fields(self)}


@dataclass
class _Pool:
    """Requests in flight in one place, and how many of them will have attained the SLO."""

    requests: float = 0.0
    attaining: float = 0.0

    def part(self, share: float) -> _Pool:
        """Take a share out."""
        taken = _Pool(self.requests * share, self.attaining * share)
        self.requests -= taken.requests
        self.attaining -= taken.attaining
        return taken

    def add(self, other: _Pool) -> None:
        self.requests += other.requests
        self.attaining += other.attaining


class FluidCluster:
    """Implements simulator.cluster.Cluster."""

    def __init__(
        self, rates: RateTrace, engine: EngineProfile, slo: Slo, router: RouterProfile, cached: float = 0.0
    ) -> None:
        self.now = 0.0
        self._engine, self._slo, self._router, self._cached = engine, slo, router, cached
        self._ends, self._rates = rates.ends.tolist(), rates.rates.tolist()
        self._sizes = list(zip(rates.prompt.tolist(), rates.output.tolist(), strict=True))
        self._at = 0
        self._prompt, self._output = self._sizes[0]
        self._joined = 0
        self._routable: set[int] = set()
        self._draining: dict[int, _Pool] = {}
        self._pool, self._held = _Pool(), _Pool()
        self._flow, self._shown = _Flow(), _Flow().rounded()
        self._curves: dict[int, Curve] = {}
        # Without a line their times depend on the point of the curve alone: by engines and point, until sizes change.
        self._unmeasured: dict[tuple[int, int], float] = {}
        self._ttft, self._itl, self._e2e = ([0.0] * BINS for _ in range(3))
        self.observers: list[Callable[[Interval], None]] = []
        """Called with every interval."""

    def join(self) -> int:
        """As Cluster.join."""
        self._joined += 1
        self._routable.add(self._joined)
        self._pool.add(self._held.part(1.0))
        return self._joined

    def drain(self, worker: int) -> None:
        """As Cluster.drain."""
        share = self._pool.part(1 / len(self._routable))
        self._routable.discard(worker)
        self._draining[worker] = share

    def empty(self, worker: int) -> bool:
        """As Cluster.empty."""
        return self._draining.get(worker, self._pool).requests < LEFT_OVER

    def leave(self, worker: int) -> None:
        """As Cluster.leave."""
        if worker in self._routable:
            self.drain(worker)
        pool = self._draining.pop(worker)
        if pool.requests < LEFT_OVER:
            self._complete(pool)
        else:
            self._flow.lost += pool.requests

    @property
    def exhausted(self) -> bool:
        """As Cluster.exhausted."""
        left = self._pool.requests + self._held.requests + sum(pool.requests for pool in self._draining.values())
        return self._at >= len(self._ends) and left < LEFT_OVER

    def advance(self, until: float) -> Interval:
        """As Cluster.advance."""
        start = self.now
        while self.now < until:
            end = min(until, self._ends[self._at]) if self._at < len(self._ends) else until
            steps = max(-int(-(end - self.now) // LONGEST_STEP_SECONDS), 1)
            self._serve((end - self.now) / steps, steps)
            self.now = end
            if self._at < len(self._ends) and end >= self._ends[self._at]:
                self._next_rate()
        interval = self._interval(start)
        for observe in self.observers:
            observe(interval)
        return interval

    def served(self) -> Served:
        """As Cluster.served."""
        self._measure_all()
        counts = self._flow.rounded()
        requests = counts.pop("arrivals")
        ttft, itl, e2e = (Histogram(np.rint(bins).astype(np.int64)) for bins in (self._ttft, self._itl, self._e2e))
        return Served(requests=requests, too_long=0, ttft=ttft, itl=itl, e2e=e2e, **counts)

    def _next_rate(self) -> None:
        self._measure_all()
        self._at += 1
        sizes = self._sizes[min(self._at, len(self._sizes) - 1)]
        if sizes != (self._prompt, self._output):
            self._prompt, self._output = sizes
            self._curves.clear()

    def _curve(self) -> tuple[int, Curve]:
        """How many engines make a difference, and the curve of one of them."""
        engines = min(max(len(self._routable), 1), LARGE_FLEET)
        if engines not in self._curves:
            load = Load(self._prompt, self._output, SIZE_VARIATION, self._cached, engines)
            self._curves[engines] = curve(self._engine, load, self._slo)
        return engines, self._curves[engines]

    def _serve(self, seconds: float, steps: int) -> None:
        rate = self._rates[self._at] if self._at < len(self._rates) else 0.0
        engines, known = self._curve()
        for _ in range(steps):
            came = rate * seconds
            self._flow.arrivals += came
            if self._routable:
                # Of the load before they came, or the pool would settle above where as many finish as come.
                finished = _finished(known, self._pool.requests / len(self._routable), seconds)
                self._take(engines, came)
                self._complete(self._pool.part(finished))
            else:
                self._hold(came, rate)
            for pool in self._draining.values():
                self._complete(pool.part(_finished(known, pool.requests, seconds)))

    def _take(self, engines: int, came: float) -> None:
        """Let requests come, and judge them by the load that they find."""
        known = self._curves[engines]
        room = max(self._router.max_concurrent_requests - self._pool.requests, 0.0)
        taken = min(came, room)
        self._flow.refused += came - taken
        at, waited = _found(known, self._pool.requests / len(self._routable))
        within = known.ttft_within[at] if waited <= 0 else _late(known, at, self._slo.ttft_seconds - waited)
        self._pool.add(_Pool(taken, taken * within * known.itl_within[at]))
        self._flow.prompt_tokens += taken * self._prompt
        self._flow.cached_tokens += taken * self._prompt * self._cached
        if waited > 0:
            self._measure(known, at, waited, taken)
        else:
            self._unmeasured[engines, at] = self._unmeasured.get((engines, at), 0.0) + taken

    def _measure_all(self) -> None:
        for (engines, at), requests in self._unmeasured.items():
            self._measure(self._curves[engines], at, 0.0, requests)
        self._unmeasured.clear()

    def _measure(self, known: Curve, at: int, waited: float, requests: float) -> None:
        """Spread the requests' times over the histograms, an eighth to each of eight points."""
        tokens = self._output - 1
        for (own, part), normal in zip(PARTS, NORMAL_EIGHTHS, strict=True):
            ttft = waited + float(known.own[own]) + known.wait[at] * EXPONENTIAL_EIGHTHS[part]
            itl = max(known.itl[at] + known.itl_width[at] * normal, 1e-4)
            for bins, time in ((self._ttft, ttft), (self._itl, itl), (self._e2e, ttft + itl * tokens)):
                bins[bin_of(time)] += requests / 8

    def _hold(self, came: float, rate: float) -> None:
        """No worker is routable: keep what came within the patience, refuse the rest."""
        patience = self._router.patience_seconds
        kept = min(self._held.requests + came, rate * patience) if patience > 0 else 0.0
        self._flow.refused += self._held.requests + came - kept
        self._held.requests = kept

    def _complete(self, pool: _Pool) -> None:
        self._flow.completed += pool.requests
        self._flow.attained += pool.attaining
        self._flow.output_tokens += pool.requests * self._output

    def _interval(self, start: float) -> Interval:
        before, self._shown = self._shown, self._flow.rounded()
        known, ready = self._curve()[1], len(self._routable)
        share = self._pool.requests / ready if ready else 0.0
        at, waited = _found(known, share)
        line = max(share - known.in_flight[-1], 0.0) + known.wait[at] * known.per_second[at] if share > 0 else 0.0
        queued = min(round(line * ready), round(self._pool.requests))
        usage = min(known.kv_tokens[at] * min(share / known.in_flight[at], 1.0) / self._engine.max_total_tokens, 1.0)
        return Interval(
            start=start,
            end=self.now,
            in_flight=round(self._pool.requests + self._held.requests),
            queued=queued + round(self._held.requests),
            running=round(self._pool.requests) - queued,
            ready=ready,
            kv_usage_mean=usage,
            kv_usage_max=usage,
            ttft_p90=known.ttft_p90[at] + waited,
            itl_p90=known.itl[at] + P90_NORMAL * known.itl_width[at],
            draining_in_flight=round(sum(pool.requests for pool in self._draining.values())),
            **{name: count - before[name] for name, count in self._shown.items()},
        )


def _found(known: Curve, share: float) -> tuple[int, float]:
    """The point of the curve for an engine with so many requests, and the time in line beyond its last point."""
    last = len(known.in_flight) - 1
    at = min(bisect_left(known.in_flight, share), last)
    return at, max(share - known.in_flight[last], 0.0) / known.per_second[last]


def _finished(known: Curve, share: float, seconds: float) -> float:
    """Which part of an engine's requests finishes within a step; an implicit step, so it is stable at any length."""
    at = min(bisect_left(known.in_flight, share), len(known.in_flight) - 1)
    high, fast = known.in_flight[at], known.per_second[at]
    if share >= high:
        rate = fast / share if share > 0 else 0.0
    elif at == 0:
        rate = fast / high
    else:
        low, slow = known.in_flight[at - 1], known.per_second[at - 1]
        rate = (slow + (fast - slow) * (share - low) / (high - low)) / share
    return rate * seconds / (1 + rate * seconds)


def _late(known: Curve, at: int, left: float) -> float:
    return float(ttft_within(known.own, np.array([known.wait[at]]), left)[0]) if left > 0 else 0.0


def fluid_cluster(
    rates: RateTrace,
    engine: EngineProfile,
    slo: Slo | None = None,
    router: RouterProfile | None = None,
    cached: float = 0.0,
) -> FluidCluster:
    """A cluster without workers at the trace's start; `cached` is the share of prompt tokens that caches hold."""
    return FluidCluster(rates, engine, slo or Slo(), router or RouterProfile(), cached)
