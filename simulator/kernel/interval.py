"""What is seen of the cluster at the end of an interval; in Python this took longer than serving its requests."""

from __future__ import annotations

from simulator.compiled import compiled
from simulator.histogram import BINS
from simulator.kernel import layout as col
from simulator.kernel.layout import State
from simulator.kernel.memory import used_tokens

PERCENTILE = 0.9


@compiled
def note(s: State) -> None:
    """Write the interval's counts and how things stand to `seen`; what comes next is counted from zero."""
    s.seen[:] = 0
    for which in range(col.COUNTS):
        s.seen[which] = s.counts[which]
        s.counts[col.COUNTS + which] += s.counts[which]
        s.counts[which] = 0
    s.seen[col.SEEN_HELD] = s.state[col.HELD]
    for w in range(len(s.worker)):
        if s.worker[w, col.ROUTABLE]:
            _note_worker(s, w)
        else:
            s.seen[col.SEEN_DRAINING] += s.worker[w, col.LOAD]
    s.seen[col.SEEN_TTFT], s.seen[col.SEEN_ITL] = _percentile(s, col.TTFT), _percentile(s, col.ITL)
    for which in range(col.TIMES):
        for bin_ in range(BINS):
            s.histogram[col.TIMES + which, bin_] += s.histogram[which, bin_]
            s.histogram[which, bin_] = 0


@compiled
def _note_worker(s: State, w: int) -> None:
    used = used_tokens(s, w)
    s.seen[col.SEEN_READY] += 1
    s.seen[col.SEEN_LOAD] += s.worker[w, col.LOAD]
    s.seen[col.SEEN_QUEUED] += s.worker[w, col.QUEUED]
    s.seen[col.SEEN_USED] += used
    s.seen[col.SEEN_MOST_USED] = max(s.seen[col.SEEN_MOST_USED], used)


@compiled
def _percentile(s: State, which: int) -> int:
    """The bin of simulator.histogram.percentile, or -1 without data."""
    total = 0
    for bin_ in range(BINS):
        total += s.histogram[which, bin_]
    wanted = max(PERCENTILE * total, 1.0)
    running = 0
    for bin_ in range(BINS):
        running += s.histogram[which, bin_]
        if running >= wanted:
            return bin_
    return -1
