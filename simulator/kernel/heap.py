"""The running requests of a worker, the first to finish on top; requests that finish together by their order."""

from __future__ import annotations

from simulator.compiled import compiled
from simulator.kernel import layout as col
from simulator.kernel.layout import State

STEP_SHIFT = 32  # a key is the last decode step times 2**32 plus the serial number modulo 2**32


@compiled
def push(s: State, w: int, key: int, r: int) -> None:
    """Add a request that finishes at the step in `key`."""
    due, request = s.heap_due[w], s.heap_request[w]
    at = s.worker[w, col.RUNNING]
    s.worker[w, col.RUNNING] = at + 1
    while at > 0 and due[(at - 1) >> 1] > key:
        due[at], request[at] = due[(at - 1) >> 1], request[(at - 1) >> 1]
        at = (at - 1) >> 1
    due[at], request[at] = key, r


@compiled
def pop(s: State, w: int) -> int:
    """Take the request that finishes first."""
    due, request = s.heap_due[w], s.heap_request[w]
    top = request[0]
    size = s.worker[w, col.RUNNING] - 1
    s.worker[w, col.RUNNING] = size
    key, r, at = due[size], request[size], 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and due[child + 1] < due[child]:
            child += 1
        if due[child] >= key:
            break
        due[at], request[at] = due[child], request[child]
        at = child
    due[at], request[at] = key, r
    return int(top)
