"""The figures of a run, computed from its samples alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.records import Sample

PERCENTILES = (50, 90, 99)
BROKEN = "stream broke off: no token counts at its end"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, percentiles and maximum of a duration, in seconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    highest: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to. `seconds`: from the first request's start to the last one's end. None: nothing was told.

    `requests` ended, errors included; the rate and the tokens are of those without an error. `cached_share` is the
    share of their prompt tokens that the server took from its prefix cache.
    """

    requests: int
    errors: int
    error_kinds: dict[str, int]
    seconds: float
    request_rate: float
    first_token: Spread | None
    inter_token: Spread | None
    latency: Spread | None
    prompt_tokens: int | None
    output_tokens: int | None
    prompt_rate: float | None
    output_rate: float | None
    cached_share: float | None
    interrupted: bool = False


def judged(samples: Sequence[Sample]) -> list[Sample]:
    """The samples, those whose stream broke off made errors.

    AIPerf 0.13.0 counts a stream that ends early, or with an error event (as smg's does when it loses a worker), as a
    success. The counts come last, so where a server tells them for some requests, one without them did not end well.
    """
    if not any(sample.output_tokens is not None for sample in samples):
        return list(samples)
    return [
        replace(sample, error=BROKEN) if sample.error is None and sample.output_tokens is None else sample
        for sample in samples
    ]


def summarize(samples: Sequence[Sample], *, interrupted: bool = False) -> Result:
    """The result of these samples, as `judged` returns them, in any order."""
    good = [sample for sample in samples if sample.error is None]
    kinds = Counter(sample.error for sample in samples if sample.error is not None)
    begin = min((sample.start for sample in samples), default=0.0)
    seconds = max((sample.end for sample in samples), default=0.0) - begin
    prompt = _total(sample.prompt_tokens for sample in good)
    output = _total(sample.output_tokens for sample in good)
    cached = _total(sample.cached_tokens for sample in good)
    return Result(
        requests=len(samples),
        errors=kinds.total(),
        error_kinds=dict(kinds.most_common()),
        seconds=seconds,
        request_rate=len(good) / seconds if seconds else 0.0,
        first_token=_spread(sample.first_token for sample in good),
        inter_token=_spread(sample.inter_token for sample in good),
        latency=_spread(sample.end - sample.start for sample in good),
        prompt_tokens=prompt,
        output_tokens=output,
        prompt_rate=prompt / seconds if prompt is not None and seconds else None,
        output_rate=output / seconds if output is not None and seconds else None,
        cached_share=cached / prompt if cached is not None and prompt else None,
        interrupted=interrupted,
    )


def _total(counts: Iterable[int | None]) -> int | None:
    """The sum of what was told; None when nobody told."""
    told = [count for count in counts if count is not None]
    return sum(told) if told else None


def _spread(values: Iterable[float | None]) -> Spread | None:
    told = [value for value in values if value is not None]
    if not told:
        return None
    p50, p90, p99 = (float(value) for value in np.percentile(told, PERCENTILES))
    return Spread(float(np.mean(told)), p50, p90, p99, max(told))
