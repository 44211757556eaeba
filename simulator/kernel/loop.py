"""Router and workers between two moments."""

from __future__ import annotations

from math import inf

from simulator.compiled import compiled, entry
from simulator.kernel import layout as col
from simulator.kernel.engine import append, run
from simulator.kernel.interval import note
from simulator.kernel.layout import Arrivals, State
from simulator.kernel.memory import free_request, take_request
from simulator.kernel.router import choose, remember


@entry
def serve(s: State, come: Arrivals, first: int, until: float) -> int:
    """Let the requests from `first` on arrive that come up to `until`; returns the first that comes later.

    If there is one, the interval is over: each call from Python takes as long as serving a request or two.
    """
    for index in range(first, len(come.arrival)):
        now = come.arrival[index]
        if now > until:
            _settle(s, until)
            return index
        _catch_up(s, now)
        s.counts[col.ARRIVALS] += 1
        s.state[col.NEXT_SERIAL] += 1
        if come.prompt[index] + come.output[index] > s.bound[col.LONGEST]:
            s.counts[col.TOO_LONG] += 1
            s.counts[col.REFUSED] += 1
        elif s.state[col.IN_FLIGHT] >= s.bound[col.MAX_CONCURRENT]:
            s.counts[col.REFUSED] += 1
        else:
            _route(s, _take(s, come, index), now)
    return len(come.arrival)


@compiled
def _take(s: State, come: Arrivals, index: int) -> int:
    """Copy a request of the trace to a row of its own."""
    start, end = come.offsets[index], come.offsets[index + 1]
    r = take_request(s, end - start)
    row = s.request[r]
    row[col.PROMPT], row[col.OUTPUT] = come.prompt[index], come.output[index]
    row[col.PROMPT_BLOCKS], row[col.SERIAL] = come.prompt_blocks[index], s.state[col.NEXT_SERIAL] - 1
    for block in range(end - start):
        s.arena[row[col.BLOCKS_AT] + block] = come.blocks[start + block]
    s.moment[r, col.ARRIVED] = come.arrival[index]
    return r


@entry
def settle(s: State, until: float) -> None:
    """Bring every worker up to `until`, when no arrival at all is left, and end the interval."""
    _settle(s, until)


@compiled
def _settle(s: State, until: float) -> None:
    _catch_up(s, until)
    for w in range(len(s.worker)):
        if s.worker[w, col.LOAD]:
            run(s, w, until)
    note(s)


@compiled
def _catch_up(s: State, now: float) -> None:
    if s.state[col.HELD]:
        _expire(s, now)
    for w in range(len(s.next_at)):
        if s.next_at[w] <= now:
            run(s, w, now)


@compiled
def _route(s: State, r: int, now: float) -> None:
    w = choose(s, r)
    if w < 0 and s.fixed[col.PATIENCE] > 0:
        _hold(s, r)
    elif w < 0 or s.worker[w, col.QUEUED] >= s.bound[col.MAX_QUEUED]:
        s.counts[col.REFUSED] += 1
        free_request(s, r)
    else:
        if s.request[r, col.PROMPT_BLOCKS]:
            remember(s, r, w)
        _offer(s, w, r, now)


@compiled
def _offer(s: State, w: int, r: int, now: float) -> None:
    run(s, w, now)  # as far as whole steps go; the request joins after the one that is under way
    if not s.worker[w, col.LOAD]:
        s.clock[w, col.NOW] = max(s.clock[w, col.NOW], now)
    s.worker[w, col.LOAD] += 1
    s.moment[r, col.OFFERED] = now
    append(s, w, r, col.QUEUE_HEAD)
    run(s, w, now)


@compiled
def _hold(s: State, r: int) -> None:
    """Let a request wait at the router until a worker joins."""
    s.request[r, col.LINK] = -1
    if s.state[col.HELD]:
        s.request[s.state[col.HELD_TAIL], col.LINK] = r
    else:
        s.state[col.HELD_HEAD] = r
    s.state[col.HELD_TAIL] = r
    s.state[col.HELD] += 1


@compiled
def _let_go(s: State) -> int:
    r = s.state[col.HELD_HEAD]
    s.state[col.HELD_HEAD] = s.request[r, col.LINK]
    s.state[col.HELD] -= 1
    return int(r)


@compiled
def _expire(s: State, now: float) -> None:
    while s.state[col.HELD] and s.moment[s.state[col.HELD_HEAD], col.ARRIVED] + s.fixed[col.PATIENCE] <= now:
        free_request(s, _let_go(s))
        s.counts[col.REFUSED] += 1


@entry
def dispatch_held(s: State, now: float) -> None:
    """Route what waits at the router, if a worker is routable again."""
    routable = 0
    for w in range(len(s.worker)):
        routable += s.worker[w, col.ROUTABLE]
    while routable and s.state[col.HELD]:
        _route(s, _let_go(s), now)


@entry
def lose(s: State, w: int) -> None:
    """Drop all that a worker has."""
    for head, count in ((col.QUEUE_HEAD, col.QUEUED), (col.PREFILL_HEAD, col.PREFILLING)):
        r = s.worker[w, head]
        for _ in range(s.worker[w, count]):
            following = s.request[r, col.LINK]
            free_request(s, r)
            r = following
    for index in range(s.worker[w, col.RUNNING]):
        free_request(s, s.heap_request[w, index])
    s.counts[col.LOST] += s.worker[w, col.LOAD]
    s.worker[w, col.LOAD] = 0
    s.next_at[w] = inf
