"""More or fewer requests, part of a trace, or a trace over and over: each a stream of chunks made from another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

import numpy as np

from simulator.traces.chunk import CHUNK_REQUESTS, Chunk, joined

LONGEST_SHIFT_SECONDS = 60.0
"""How far a copy is moved at most: enough that bursts do not fall together, too little to change the load's course."""
COPIES = 1024
REPETITIONS = 256


def at_rate(source: Callable[[], Iterator[Chunk]], factor: float, seed: int) -> Iterator[Chunk]:
    """`factor` times as many requests.

    Each whole copy is moved by a time of its own, below a minute, and has its own blocks (its users are others); the
    fraction that is left is a copy from which each request is taken with that probability. The prefixes that only
    left-out requests would have brought into a cache are missing then.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    copies, share = int(factor), factor - int(factor)
    shifts = [0.0, *random.uniform(0, LONGEST_SHIFT_SECONDS, copies).tolist()][: copies + (share > 0)]
    held: list[Chunk] = []
    for chunk in source():
        for copy, shift in enumerate(shifts):
            moved = chunk.shifted(shift, copy % COPIES)
            held.append(moved if copy < copies else moved.taken(np.flatnonzero(random.random(len(chunk)) < share)))
        ready, later = _split(joined(held), float(chunk.arrival[-1]))
        held = [later]
        yield from pieces(ready)
    yield from pieces(joined(held)) if held else ()


def _split(chunk: Chunk, until: float) -> tuple[Chunk, Chunk]:
    """What comes before `until`, and the rest: it may yet mix with requests that come at that very moment."""
    at = int(np.searchsorted(chunk.arrival, until))
    return chunk.taken(np.arange(at)), chunk.taken(np.arange(at, len(chunk)))


def pieces(chunk: Chunk) -> Iterator[Chunk]:
    """The same requests in chunks of the usual size."""
    for start in range(0, len(chunk), CHUNK_REQUESTS):
        yield chunk.taken(np.arange(start, min(start + CHUNK_REQUESTS, len(chunk))))


def cut(source: Callable[[], Iterator[Chunk]], seconds: float, requests: float) -> Iterator[Chunk]:
    """The requests before `seconds`, and no more than `requests`."""
    left = requests
    for chunk in source():
        end = int(np.searchsorted(chunk.arrival, seconds)) if seconds < inf else len(chunk)
        end = int(min(end, left))
        left -= end
        yield chunk if end == len(chunk) else chunk.taken(np.arange(end))
        if end < len(chunk):
            return


def repeated(source: Callable[[], Iterator[Chunk]], times: int) -> Iterator[Chunk]:
    """One after the other, with the mean time between two requests in between; each with blocks of its own."""
    start = 0.0
    for turn in range(times):
        count, last = 0, 0.0
        for chunk in source():
            count, last = count + len(chunk), float(chunk.arrival[-1])
            yield chunk.shifted(start, (turn % REPETITIONS) * COPIES)
        start += last + (last / (count - 1) if count > 1 else 1.0)
