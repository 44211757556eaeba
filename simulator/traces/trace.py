"""A trace: requests in the order of their arrival, in chunks, so that memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from simulator.traces import scale
from simulator.traces.chunk import Chunk

REMEMBERED_BYTES = 64 * 2**20


class Remembered:
    """Chunks that are kept from the first reading on if they are small: policies and repetitions read them often."""

    def __init__(self, source: Callable[[], Iterator[Chunk]]) -> None:
        self._source = source
        self._chunks: list[Chunk] | None = None

    def __call__(self) -> Iterator[Chunk]:
        """The chunks; only a reading to the end counts as the first."""
        if self._chunks is not None:
            yield from self._chunks
            return
        chunks: list[Chunk] = []
        size = 0
        for chunk in self._source():
            size += chunk.bytes
            if size <= REMEMBERED_BYTES:
                chunks.append(chunk)
            else:
                chunks.clear()
            yield chunk
        self._chunks = chunks if size <= REMEMBERED_BYTES else None


@dataclass(frozen=True)
class Trace:
    """A name, the size of its prefix blocks (0: it has none), and a way to read its chunks from the start.

    Chunks may be read as often as wanted and are the same each time. Reading raises settings.errors.SettingsError where
    a file has a fault.
    """

    name: str
    block_tokens: int
    source: Callable[[], Iterator[Chunk]]

    def chunks(self) -> Iterator[Chunk]:
        """All requests, from the start."""
        return (chunk for chunk in self.source() if len(chunk))

    def scaled(self, rate: float = 1.0, tokens: float = 1.0, seed: int = 0) -> Trace:
        """`rate` times as many requests (see scale.at_rate), each of `tokens` times the size, blocks included.

        Raises:
            ValueError: a factor is not above 0.
        """
        if rate <= 0 or tokens <= 0:
            raise ValueError(f"rate {rate} and tokens {tokens} must be above 0")
        scaled = self if tokens == 1 else self._resized(tokens)
        return scaled if rate == 1 else replace(scaled, source=partial(scale.at_rate, scaled.chunks, rate, seed))

    def _resized(self, tokens: float) -> Trace:
        block = max(round(self.block_tokens * tokens), 1) if self.block_tokens else 0
        return replace(
            self, block_tokens=block, source=lambda: (chunk.resized(tokens, max(block, 1)) for chunk in self.chunks())
        )

    def limited(self, seconds: float = inf, requests: float = inf) -> Trace:
        """The requests of the first `seconds`, and no more than `requests`."""
        return replace(self, source=partial(scale.cut, self.chunks, seconds, requests))

    def looped(self, times: int) -> Trace:
        """The trace `times` times, one after the other."""
        return replace(self, source=partial(scale.repeated, self.chunks, times))
