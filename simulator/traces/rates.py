"""A trace of rates: so many requests per second in each interval, with their mean sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from simulator.traces.chunk import CHUNK_REQUESTS, Chunk, plain
from simulator.traces.trace import Trace

DEFAULT_PROMPT_TOKENS, DEFAULT_OUTPUT_TOKENS = 1155, 211
"""Means of the Azure conversation trace of 2023 (19,366 requests)."""
SIZE_VARIATION = 1.0
"""Standard deviation over mean of the sizes (assumption): prompts of both Azure traces of 2023 have 0.96, answers 0.77
(conversation) and 2.1 (code)."""
LONE_INTERVAL_SECONDS = 600.0


@dataclass(frozen=True)
class RateTrace:
    """Intervals from `starts[i]` (s, from 0 on) with `rates[i]` requests per second of these mean sizes in tokens."""

    name: str
    starts: NDArray[np.float64]
    rates: NDArray[np.float64]
    prompt: NDArray[np.float64]
    output: NDArray[np.float64]

    @property
    def ends(self) -> NDArray[np.float64]:
        """Where each interval ends; the last is as long as the one before it, a lone one 600 s."""
        last = self.starts[-1] - self.starts[-2] if len(self.starts) > 1 else LONE_INTERVAL_SECONDS
        return np.append(self.starts[1:], self.starts[-1] + last)

    @property
    def requests(self) -> float:
        """How many requests are expected."""
        return float(((self.ends - self.starts) * self.rates).sum())

    def scaled(self, rate: float = 1.0, tokens: float = 1.0) -> RateTrace:
        """`rate` times the requests, each of `tokens` times the size."""
        sizes = np.maximum(self.prompt * tokens, 1), np.maximum(self.output * tokens, 1)
        return replace(self, rates=self.rates * rate, prompt=sizes[0], output=sizes[1])

    def arrivals(self, seed: int = 0) -> Trace:
        """Single requests: Poisson arrivals, log-normal sizes with the mean of the interval (see SIZE_VARIATION)."""
        return Trace(self.name, 0, partial(self._poisson, seed))

    def _poisson(self, seed: int) -> Iterator[Chunk]:
        random = np.random.Generator(np.random.PCG64(seed))
        for index, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            parts = int(self.rates[index] * (end - start) / CHUNK_REQUESTS) + 1
            edges = np.linspace(start, end, parts + 1)
            for part in range(parts):
                width = edges[part + 1] - edges[part]
                count = int(random.poisson(self.rates[index] * width))
                arrival = np.sort(edges[part] + width * random.random(count))
                prompt, output = (_sizes(random, float(mean[index]), count) for mean in (self.prompt, self.output))
                yield plain(arrival, prompt, output)

    @classmethod
    def of(cls, trace: Trace, seconds: float) -> RateTrace:
        """What a request trace amounts to in intervals of `seconds`; an empty one has the sizes of the one before."""
        sums: list[NDArray[np.float64]] = []
        for chunk in trace.chunks():
            which = (chunk.arrival // seconds).astype(np.int64)
            while len(sums) <= which[-1]:
                sums.append(np.zeros(3))
            for index in np.unique(which):
                mask = which == index
                sums[index] += (mask.sum(), chunk.prompt[mask].sum(), chunk.output[mask].sum())
        table: NDArray[np.float64] = np.array(sums, np.float64)
        count, prompt, output = table.T
        starts = np.arange(len(sums), dtype=np.float64) * seconds
        return cls(trace.name, starts, count / seconds, _means(prompt, count), _means(output, count))


def _means(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    latest = np.maximum.accumulate(np.where(count > 0, np.arange(len(count)), 0))
    return np.maximum(total[latest] / np.maximum(count[latest], 1), 1)


def _sizes(random: np.random.Generator, mean: float, count: int) -> NDArray[np.int64]:
    spread = log(1 + SIZE_VARIATION**2)
    sizes = random.lognormal(log(mean) - spread / 2, sqrt(spread), count)
    return np.maximum(np.rint(sizes), 1).astype(np.int64)
