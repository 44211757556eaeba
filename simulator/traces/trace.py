"""A trace: requests in the order of their arrival, in chunks, so that memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

CHUNK_REQUESTS = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some requests in a row. Request `i` has the block ids `blocks[offsets[i]:offsets[i + 1]]`.

    A block id stands for a run of `Trace.block_tokens` tokens and all before it. The first `prompt_blocks[i]` ids are
    those of whole blocks of the prompt; what follows are blocks that the answer fills.
    """

    arrival: NDArray[np.float64]
    """Seconds since the trace's start, never falling."""
    prompt: NDArray[np.int64]
    output: NDArray[np.int64]
    blocks: NDArray[np.int64]
    offsets: NDArray[np.int64]
    prompt_blocks: NDArray[np.int64]

    def __len__(self) -> int:
        """How many requests."""
        return len(self.arrival)


@dataclass(frozen=True)
class Trace:
    """A name, the size of its prefix blocks (0: it has none), and a way to read its chunks from the start."""

    name: str
    block_tokens: int
    source: Callable[[], Iterator[Chunk]]

    def chunks(self) -> Iterator[Chunk]:
        """All requests, from the start; can be called again."""
        return self.source()

    def renamed(self, name: str) -> Trace:
        """The same trace under another name."""
        return replace(self, name=name)
