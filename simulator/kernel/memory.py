"""KV memory of a worker (rehearsal.engine.prefix_cache), and the room for requests in flight and their block ids."""

from __future__ import annotations

from simulator.compiled import compiled
from simulator.kernel import layout as col
from simulator.kernel.layout import State
from simulator.kernel.store import add, evict, find, keep, unlink


@compiled
def used_tokens(s: State, w: int) -> int:
    """Tokens held for requests that run."""
    return int(s.worker[w, col.PINNED] * s.bound[col.BLOCK] + s.worker[w, col.PRIVATE])


@compiled
def reserve(s: State, w: int, r: int) -> bool:
    """Match the cache and set aside what the request will need; False, and no change, when it does not fit."""
    at, count, block = s.request[r, col.BLOCKS_AT], s.request[r, col.PROMPT_BLOCKS], s.bound[col.BLOCK]
    table, node = s.table[w], s.node[w]
    matched, added = 0, 0
    for index in range(count):
        which = find(table, node, s.arena[at + index])
        s.arena_node[at + index] = which
        matched += which >= 0 and matched == index
        added += which < 0 or node[which, col.PINS] == 0
    own = s.request[r, col.PROMPT] - count * block + s.request[r, col.OUTPUT]
    if used_tokens(s, w) + added * block + own > s.bound[col.CAPACITY]:
        return False
    s.request[r, col.CACHED] = min(matched * block, s.request[r, col.PROMPT] - 1)
    s.request[r, col.OWN] = own
    s.worker[w, col.PRIVATE] += own
    if count:
        _pin(s, w, r)
    _evict(s, w)
    return True


@compiled
def _pin(s: State, w: int, r: int) -> None:
    table, node, ends = s.table[w], s.node[w], s.ends[w]
    at = s.request[r, col.BLOCKS_AT]
    for index in range(at, at + s.request[r, col.PROMPT_BLOCKS]):
        which = s.arena_node[index]
        if which < 0:
            which = find(table, node, s.arena[index])  # an id that a faulty file has twice in one prompt
        if which < 0:
            which = add(table, node, ends, s.arena[index])
            s.worker[w, col.PINNED] += 1
        elif node[which, col.PINS] == 0:
            unlink(node, ends, which)
            s.worker[w, col.PINNED] += 1
        s.arena_node[index] = which
        node[which, col.PINS] += 1


@compiled
def release(s: State, w: int, r: int) -> None:
    """Undo `reserve`; the blocks of prompt and answer stay in memory until the room is needed, the leaf the oldest."""
    table, node, ends = s.table[w], s.node[w], s.ends[w]
    s.worker[w, col.PRIVATE] -= s.request[r, col.OWN]
    at, prompt = s.request[r, col.BLOCKS_AT], s.request[r, col.PROMPT_BLOCKS]
    for index in range(s.request[r, col.BLOCKS] - 1, -1, -1):
        which = s.arena_node[at + index] if index < prompt else find(table, node, s.arena[at + index])
        if index < prompt:
            node[which, col.PINS] -= 1
            if node[which, col.PINS] == 0:
                s.worker[w, col.PINNED] -= 1
                keep(node, ends, which)
        elif which < 0:
            keep(node, ends, add(table, node, ends, s.arena[at + index]))
        elif node[which, col.PINS] == 0:
            unlink(node, ends, which)
            keep(node, ends, which)
    _evict(s, w)


@compiled
def _evict(s: State, w: int) -> None:
    evict(s.table[w], s.node[w], s.ends[w], (s.bound[col.CAPACITY] - used_tokens(s, w)) // s.bound[col.BLOCK])


@compiled
def size_class(blocks: int) -> int:
    """Runs of block ids have a power of two as their size: 1, 2, 4 and so on."""
    found = 0
    while (1 << found) < blocks:
        found += 1
    return found


@compiled
def take_request(s: State, blocks: int) -> int:
    """A free row for a request, with room for its block ids; the caller made sure of both."""
    r = s.state[col.FREE_REQUEST]
    s.state[col.FREE_REQUEST] = s.request[r, col.LINK]
    s.state[col.IN_FLIGHT] += 1
    s.request[r, col.BLOCKS] = blocks
    if blocks:
        kind = size_class(blocks)
        at = s.state[col.CLASSES + kind]
        if at >= 0:
            s.state[col.CLASSES + kind] = s.arena[at]
        else:
            at = s.state[col.ARENA_USED]
            s.state[col.ARENA_USED] += 1 << kind
        s.request[r, col.BLOCKS_AT] = at
    return int(r)


@compiled
def free_request(s: State, r: int) -> None:
    """Give back what `take_request` gave."""
    if s.request[r, col.BLOCKS]:
        at, kind = s.request[r, col.BLOCKS_AT], size_class(s.request[r, col.BLOCKS])
        s.arena[at] = s.state[col.CLASSES + kind]
        s.state[col.CLASSES + kind] = at
    s.request[r, col.LINK] = s.state[col.FREE_REQUEST]
    s.state[col.FREE_REQUEST] = r
    s.state[col.IN_FLIGHT] -= 1
