"""Which worker gets a request: smg's cache_aware, as simulator.cluster.RouterProfile describes it."""

from __future__ import annotations

from simulator.compiled import compiled
from simulator.kernel import layout as col
from simulator.kernel.layout import State
from simulator.kernel.store import add, evict, find, keep, unlink


@compiled
def choose(s: State, r: int) -> int:
    """The worker for request `r`, or -1 when none is routable."""
    idlest, high = -1, 0
    for w in range(len(s.worker)):
        if s.worker[w, col.ROUTABLE]:
            high = max(high, s.worker[w, col.LOAD])
            if idlest < 0 or _before(s, w, idlest):
                idlest = w
    if idlest < 0 or not s.request[r, col.PROMPT_BLOCKS]:
        return idlest
    low = s.worker[idlest, col.LOAD]
    if high - low > s.bound[col.ABS] and high > s.fixed[col.REL] * low:
        return idlest
    if _longest(s, r) * s.bound[col.BLOCK] > s.fixed[col.THRESHOLD] * s.request[r, col.PROMPT]:
        return _idlest_matched(s)
    return idlest


@compiled
def _before(s: State, w: int, other: int) -> bool:
    mine, its = s.worker[w, col.LOAD], s.worker[other, col.LOAD]
    return bool(mine < its or (mine == its and s.worker[w, col.NUMBER] < s.worker[other, col.NUMBER]))


@compiled
def _longest(s: State, r: int) -> int:
    """How many blocks of the prompt some routable worker was sent before; leaves those workers' bits in `matched`."""
    s.matched[:] = 0
    for w in range(len(s.worker)):
        if s.worker[w, col.ROUTABLE]:
            s.matched[w // col.WORD_BITS] |= 1 << (w % col.WORD_BITS)
    at = s.request[r, col.BLOCKS_AT]
    for index in range(s.request[r, col.PROMPT_BLOCKS]):
        which = find(s.tree_table, s.tree_node, s.arena[at + index])
        if which < 0 or not _any_has(s, which):
            return index
        for word in range(len(s.matched)):
            s.matched[word] &= s.tree_workers[which, word]
    return int(s.request[r, col.PROMPT_BLOCKS])


@compiled
def _any_has(s: State, which: int) -> bool:
    for word in range(len(s.matched)):  # noqa: SIM110  (compiled code has no any)
        if s.matched[word] & s.tree_workers[which, word]:
            return True
    return False


@compiled
def _idlest_matched(s: State) -> int:
    best = -1
    for w in range(len(s.worker)):
        known = s.matched[w // col.WORD_BITS] >> (w % col.WORD_BITS) & 1
        if known and (best < 0 or _before(s, w, best)):
            best = w
    return best


@compiled
def remember(s: State, r: int, w: int) -> None:
    """Note that worker `w` was sent this prompt; from leaf to root, so that no block outlives the one before it."""
    table, node, ends = s.tree_table, s.tree_node, s.tree_ends
    at = s.request[r, col.BLOCKS_AT]
    for index in range(at + s.request[r, col.PROMPT_BLOCKS] - 1, at - 1, -1):
        which = find(table, node, s.arena[index])
        if which < 0:
            which = add(table, node, ends, s.arena[index])
            s.tree_workers[which, :] = 0
        else:
            unlink(node, ends, which)
        s.tree_workers[which, w // col.WORD_BITS] |= 1 << (w % col.WORD_BITS)
        keep(node, ends, which)
    evict(table, node, ends, s.bound[col.TREE_BLOCKS])
