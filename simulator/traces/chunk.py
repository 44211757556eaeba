"""Some requests in a row, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain

import numpy as np
from numpy.typing import NDArray

CHUNK_REQUESTS = 4096
ID_BITS = 44
"""Block ids of a file are kept below 2**44, so that copies and repetitions can have blocks of their own above."""


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

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(getattr(self, item.name).nbytes for item in fields(self))

    def taken(self, index: NDArray[np.int64]) -> Chunk:
        """These requests, in this order."""
        counts = np.diff(self.offsets)[index]
        offsets = _offsets(counts)
        starts = np.repeat(self.offsets[index] - offsets[:-1], counts)
        blocks = self.blocks[starts + np.arange(offsets[-1])]
        return Chunk(
            self.arrival[index], self.prompt[index], self.output[index], blocks, offsets, self.prompt_blocks[index]
        )

    def shifted(self, seconds: float, owner: int = 0) -> Chunk:
        """The same requests later, with blocks that only chunks of the same `owner` share."""
        blocks = self.blocks + (owner << ID_BITS) if owner else self.blocks
        return Chunk(self.arrival + seconds, self.prompt, self.output, blocks, self.offsets, self.prompt_blocks)

    def resized(self, factor: float, block_tokens: int) -> Chunk:
        """Prompts and answers of `factor` times the tokens, for blocks that now have `block_tokens`."""
        prompt = np.maximum(np.rint(self.prompt * factor), 1).astype(np.int64)
        output = np.maximum(np.rint(self.output * factor), 1).astype(np.int64)
        if not len(self.blocks):
            return Chunk(self.arrival, prompt, output, self.blocks, self.offsets, self.prompt_blocks)
        prompt_blocks = np.minimum(self.prompt_blocks, prompt // block_tokens)
        counts = np.minimum(np.diff(self.offsets), (prompt + output) // block_tokens)
        counts = np.where(prompt_blocks < self.prompt_blocks, prompt_blocks, counts)
        offsets = _offsets(counts)
        kept = np.repeat(self.offsets[:-1] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Chunk(self.arrival, prompt, output, self.blocks[kept], offsets, prompt_blocks)


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def plain(arrival: NDArray[np.float64], prompt: NDArray[np.int64], output: NDArray[np.int64]) -> Chunk:
    """Requests that share no prefix."""
    none = np.zeros(0, np.int64)
    return Chunk(arrival, prompt, output, none, np.zeros(len(arrival) + 1, np.int64), np.zeros(len(arrival), np.int64))


def with_blocks(
    arrival: Sequence[float], prompt: Sequence[int], output: Sequence[int], blocks: Sequence[Sequence[int]]
) -> Chunk:
    """Requests with the ids of their prompts' whole blocks."""
    counts = np.array([len(ids) for ids in blocks], np.int64)
    flat = np.fromiter(chain.from_iterable(blocks), np.int64, int(counts.sum()))
    sizes = np.array(prompt, np.int64), np.array(output, np.int64)
    return Chunk(np.array(arrival, np.float64), *sizes, flat, _offsets(counts), counts)


def joined(chunks: Iterable[Chunk]) -> Chunk:
    """All requests of some chunks, sorted by arrival; of those at the same moment, the earlier chunk's go first."""
    parts = list(chunks)
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    together = Chunk(
        np.concatenate([part.arrival for part in parts]),
        np.concatenate([part.prompt for part in parts]),
        np.concatenate([part.output for part in parts]),
        np.concatenate([part.blocks for part in parts]),
        _offsets(counts),
        np.concatenate([part.prompt_blocks for part in parts]),
    )
    return together.taken(np.argsort(together.arrival, kind="stable"))
