"""What is simulated: a trace on a kind of cluster, for so long, by such an SLO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rehearsal.engine.timing import Rates
from simulator.cloudwatch import STEP_SECONDS
from simulator.cluster import Cluster, Slo
from simulator.load_meter import LoadMeter, speeds_of

if TYPE_CHECKING:
    from simulator.cluster import EngineProfile, RouterProfile
    from simulator.traces import Chunk, RateTrace, Trace

WINDOW_SECONDS = 60.0
KEPT_REQUESTS = 200_000


@dataclass(frozen=True)
class Workload:
    """A trace, ready to be served again and again from its start."""

    name: str
    start: Callable[[], Cluster]
    """A new cluster at the trace's start, without workers."""
    seconds: float
    """Up to when hosts are charged: the last arrival, rounded up to a whole window."""
    slo: Slo = field(default_factory=Slo)
    attainment: float = 0.95
    """Share of the requests that must be within the SLO."""
    rates: Rates = field(default_factory=Rates)
    """How fast a worker is: what the agent of a real pool has from its settings."""

    def meter(self) -> LoadMeter:
        """A new meter of the prompt load."""
        return LoadMeter(speeds_of(self.rates, self.slo))


def last_arrival(trace: Trace) -> float:
    """The time of a trace's last request; 0 without any."""
    last = 0.0
    for chunk in trace.chunks():
        last = float(chunk.arrival[-1]) if len(chunk) else last
    return last


def event_workload(
    trace: Trace, engine: EngineProfile, router: RouterProfile, slo: Slo, attainment: float = 0.95
) -> Workload:
    """A trace whose every request is followed."""
    from simulator.event import event_cluster  # noqa: PLC0415 - numba takes a second that others should not wait

    trace = kept(trace)
    seconds = whole_windows(last_arrival(trace))
    return Workload(
        trace.name, lambda: event_cluster(trace, engine, slo, router), seconds, slo, attainment, engine.rates
    )


def kept(trace: Trace) -> Trace:
    """The trace with its scaled requests in memory, when they are few: a comparison reads them hundreds of times."""
    chunks: list[Chunk] = []
    for chunk in trace.chunks():
        chunks.append(chunk)
        if sum(map(len, chunks)) > KEPT_REQUESTS:
            return trace
    return replace(trace, source=lambda: iter(chunks))


def whole_windows(seconds: float) -> float:
    """The time rounded up to whole windows, one at least."""
    windows = -(-max(seconds, STEP_SECONDS) // WINDOW_SECONDS)
    return float(windows * WINDOW_SECONDS)


def fluid_workload(
    rates: RateTrace, engine: EngineProfile, router: RouterProfile, slo: Slo, attainment: float = 0.95
) -> Workload:
    """A trace of rates, followed as a flow."""
    from simulator.fluid import fluid_cluster  # noqa: PLC0415 - as above

    seconds = whole_windows(float(rates.ends[-1]))
    return Workload(
        rates.name, lambda: fluid_cluster(rates, engine, slo, router), seconds, slo, attainment, engine.rates
    )
