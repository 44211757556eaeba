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
    s.seen[col.SEEN_TTFT], s.seen[col.SEEN_ITL] = _end_times(s, col.TTFT), _end_times(s, col.ITL)
    _end_times(s, col.E2E)


@compiled
def _note_worker(s: State, w: int) -> None:
    used = used_tokens(s, w)
    s.seen[col.SEEN_READY] += 1
    s.seen[col.SEEN_LOAD] += s.worker[w, col.LOAD]
    s.seen[col.SEEN_QUEUED] += s.worker[w, col.QUEUED]
    s.seen[col.SEEN_USED] += used
    s.seen[col.SEEN_MOST_USED] = max(s.seen[col.SEEN_MOST_USED], used)


@compiled
def _end_times(s: State, which: int) -> int:
    """Put the interval's times to those of before; returns the bin of their percentile, or -1 without any."""
    total = 0
    for bin_ in range(BINS):
        total += s.histogram[which, bin_]
    if not total:
        return -1
    at = _percentile(s, which, total)
    for bin_ in range(BINS):
        s.histogram[col.TIMES + which, bin_] += s.histogram[which, bin_]
        s.histogram[which, bin_] = 0
    return at


@compiled
def _percentile(s: State, which: int, total: int) -> int:
    """The bin that simulator.histogram.percentile finds."""
    wanted = max(PERCENTILE * total, 1.0)
    at, running = 0, s.histogram[which, 0]
    while running < wanted:
        at += 1
        running += s.histogram[which, at]
    return at
