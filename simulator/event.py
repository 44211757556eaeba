"""The cluster that follows every request."""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import numpy as np

from simulator.cluster import EngineProfile, Interval, RouterProfile, Served, Slo
from simulator.histogram import Histogram, middle
from simulator.kernel import layout
from simulator.kernel.layout import E2E, ITL, TIMES, TTFT, Arrivals, State
from simulator.kernel.loop import dispatch_held, lose, serve, settle
from simulator.traces import Trace

COUNTED = (
    "arrivals", "completed", "refused", "lost", "too_long", "attained", "prompt_tokens", "cached_tokens",
    "output_tokens",
)  # fmt: skip
"""What the kernel counts, in the order of layout.ARRIVALS …"""


class EventCluster:
    """Implements simulator.cluster.Cluster with compiled code; `log_requests` of them are written down in `log`."""

    def __init__(
        self, trace: Trace, engine: EngineProfile, slo: Slo, router: RouterProfile, log_requests: int = 0
    ) -> None:
        self.now = 0.0
        self._capacity = engine.max_total_tokens
        self._state: State = layout.new_state(engine, router, slo, trace.block_tokens, log=log_requests)
        self._chunks = trace.chunks()
        self._chunk: Arrivals | None = None
        self._at = 0
        self._rows: dict[int, int] = {}
        self._joined = 0
        self.observers: list[Callable[[Interval], None]] = []
        """Called with every interval; see simulator.series for one that keeps windows for a plot."""
        self._next_chunk()

    def join(self) -> int:
        """As Cluster.join."""
        row = int(np.argmin(self._state.worker[:, layout.ALIVE]))
        if self._state.worker[row, layout.ALIVE]:
            row = len(self._state.worker)
            self._state = layout.more_workers(self._state)
        self._joined += 1
        self._rows[self._joined] = row
        layout.clear_worker(self._state, row, self._joined, self.now)
        return self._joined

    def drain(self, worker: int) -> None:
        """As Cluster.drain."""
        self._state.worker[self._rows[worker], layout.ROUTABLE] = 0

    def empty(self, worker: int) -> bool:
        """As Cluster.empty."""
        return not self._state.worker[self._rows[worker], layout.LOAD]

    def leave(self, worker: int) -> None:
        """As Cluster.leave."""
        row = self._rows.pop(worker)
        lose(self._state, row)
        layout.forget_worker(self._state, row)

    @property
    def exhausted(self) -> bool:
        """As Cluster.exhausted."""
        return self._chunk is None and not self._state.state[layout.IN_FLIGHT]

    @property
    def log(self) -> layout.Floats:
        """The first finished requests: serial number, worker, admitted, first token, finished (s), cached tokens."""
        return self._state.log[: self._state.state[layout.LOGGED]]

    def advance(self, until: float) -> Interval:
        """As Cluster.advance."""
        start, self.now = self.now, until
        if self._state.state[layout.HELD]:
            dispatch_held(self._state, start)
        while self._chunk is not None:
            self._at = serve(self._state, self._chunk, self._at, until)
            if self._at < len(self._chunk.arrival):
                break
            self._next_chunk()
        else:
            settle(self._state, until)
        interval = self._interval(start)
        for observe in self.observers:
            observe(interval)
        return interval

    def served(self) -> Served:
        """As Cluster.served."""
        totals = self._state.counts.reshape(2, -1).sum(0).tolist()
        counts = dict(zip(COUNTED, totals, strict=True))
        requests = counts.pop("arrivals")
        histogram = self._state.histogram.reshape(2, TIMES, -1).sum(0)
        ttft, itl, e2e = (Histogram(histogram[which]) for which in (TTFT, ITL, E2E))
        return Served(requests=requests, ttft=ttft, itl=itl, e2e=e2e, **counts)

    def _next_chunk(self) -> None:
        chunk, self._at = next((chunk for chunk in self._chunks if len(chunk)), None), 0
        self._chunk = None
        if chunk is not None:
            self._chunk = Arrivals(
                chunk.arrival, chunk.prompt, chunk.output, chunk.blocks, chunk.offsets, chunk.prompt_blocks
            )
            # Runs of ids take up to twice their length, as their sizes are powers of two.
            self._state = layout.with_room(self._state, 2 * len(chunk.blocks) + 1)

    def _interval(self, start: float) -> Interval:
        seen = self._state.seen.tolist()
        counts = dict(zip(COUNTED, seen, strict=False))
        ready, load, queued, held, draining, used, most_used, ttft, itl = seen[layout.COUNTS :]
        return Interval(
            start=start,
            end=self.now,
            in_flight=load + held,
            queued=queued + held,
            running=load - queued,
            ready=ready,
            kv_usage_mean=used / ready / self._capacity if ready else 0.0,
            kv_usage_max=most_used / self._capacity,
            ttft_p90=middle(ttft) if ttft >= 0 else nan,
            itl_p90=middle(itl) if itl >= 0 else nan,
            draining_in_flight=draining,
            **counts,
        )


def event_cluster(
    trace: Trace, engine: EngineProfile, slo: Slo | None = None, router: RouterProfile | None = None
) -> EventCluster:
    """A cluster without workers at the trace's start. Compiles on first use, once for each version of the kernel."""
    return EventCluster(trace, engine, slo or Slo(), router or RouterProfile())
