"""Made-up traces."""

from __future__ import annotations

import numpy as np

from simulator.traces import Chunk, Trace

BLOCK = 64


def shared_prefixes(seed: int, requests: int = 400, rate: float = 6.0) -> Trace:
    """Conversations whose prompts begin alike; some answers become blocks, some requests never fit or come at once."""
    random = np.random.default_rng(seed)
    arrival = np.cumsum(random.exponential(1 / rate, requests) * (random.random(requests) > 0.1))
    conversation = random.integers(0, 12, requests)
    prompt = random.integers(1, 1200, requests)
    prompt[random.random(requests) < 0.01] = 50_000
    output = np.where(random.random(requests) < 0.1, 1, random.integers(1, 300, requests))
    whole = np.minimum(prompt // BLOCK, 40)
    filled = np.where(random.random(requests) < 0.5, (prompt + output) // BLOCK - prompt // BLOCK, 0)
    filled = np.where(whole == prompt // BLOCK, filled, 0)
    offsets = np.concatenate([[0], np.cumsum(whole + filled)])
    depth = np.arange(offsets[-1]) - np.repeat(offsets[:-1], whole + filled)
    blocks = np.where(depth < 2, depth, np.repeat(conversation, whole + filled) * 1000 + depth + 10)
    whole_chunk = Chunk(arrival, prompt, output, blocks, offsets, whole)
    parts = np.array_split(np.arange(requests), 3)
    return Trace("made up", BLOCK, lambda: iter([whole_chunk.taken(part) for part in parts]))
