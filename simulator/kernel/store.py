"""Blocks by key, the kept ones from oldest to newest: a hash table with linear probing over rows that are lists."""

from __future__ import annotations

from simulator.compiled import compiled
from simulator.kernel import layout as col
from simulator.kernel.layout import Ints

_MULTIPLIER = 0x1E3779B97F4A7C15  # odd, near 2**61 over the golden ratio: spreads neighbouring keys


@compiled
def home(table: Ints, key: int) -> int:
    """Where in the table a key belongs."""
    return ((key * _MULTIPLIER) >> 20) & (len(table) - 1)


@compiled
def find(table: Ints, node: Ints, key: int) -> int:
    """The node of a key, or -1."""
    at = home(table, key)
    while table[at] >= 0:
        if node[table[at], col.KEY] == key:
            return int(table[at])
        at = (at + 1) & (len(table) - 1)
    return -1


@compiled
def add(table: Ints, node: Ints, ends: Ints, key: int) -> int:
    """A new node for a key that has none; it is neither pinned nor kept."""
    new = ends[col.FREE]
    ends[col.FREE] = node[new, col.NEWER]
    node[new, col.KEY] = key
    node[new, col.PINS] = 0
    at = home(table, key)
    while table[at] >= 0:
        at = (at + 1) & (len(table) - 1)
    table[at] = new
    return int(new)


@compiled
def unlink(node: Ints, ends: Ints, which: int) -> None:
    """Take a node out of the kept ones."""
    older, newer = node[which, col.OLDER], node[which, col.NEWER]
    if older >= 0:
        node[older, col.NEWER] = newer
    else:
        ends[col.OLDEST] = newer
    if newer >= 0:
        node[newer, col.OLDER] = older
    else:
        ends[col.NEWEST] = older
    ends[col.KEPT] -= 1


@compiled
def keep(node: Ints, ends: Ints, which: int) -> None:
    """Put a node at the end of the kept ones, as the newest."""
    newest = ends[col.NEWEST]
    node[which, col.OLDER], node[which, col.NEWER] = newest, -1
    if newest >= 0:
        node[newest, col.NEWER] = which
    else:
        ends[col.OLDEST] = which
    ends[col.NEWEST] = which
    ends[col.KEPT] += 1


@compiled
def evict(table: Ints, node: Ints, ends: Ints, room: int) -> None:
    """Forget the oldest of the kept nodes until no more than `room` are left."""
    while ends[col.KEPT] > room and ends[col.OLDEST] >= 0:
        which = ends[col.OLDEST]
        unlink(node, ends, which)
        _remove(table, node, node[which, col.KEY])
        node[which, col.NEWER] = ends[col.FREE]
        ends[col.FREE] = which


@compiled
def _remove(table: Ints, node: Ints, key: int) -> None:
    """Close the gap by moving back what probing had pushed past it."""
    mask = len(table) - 1
    gap = home(table, key)
    while node[table[gap], col.KEY] != key:
        gap = (gap + 1) & mask
    at = (gap + 1) & mask
    while table[at] >= 0:
        wanted = home(table, node[table[at], col.KEY])
        if ((at - wanted) & mask) >= ((at - gap) & mask):
            table[gap] = table[at]
            gap = at
        at = (at + 1) & mask
    table[gap] = -1
