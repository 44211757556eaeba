"""What a benchmark is to do, checked before anything is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import BenchError

DatasetName = Literal["random", "shared-prefix", "trace"]
DEFAULT_REQUESTS = 100
MOST_PROMPTS = 20_000
"""Prompts prepared for a run of a given duration; a longer run repeats them. Assumption: some 100 MB of text."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much and how fast: at most `concurrency` requests in flight, until `requests` or `duration` (s) is reached.

    With `rate` (1/s) requests arrive at random (Poisson), and wait while `concurrency` are in flight. A trace has its
    own arrivals; there `rate` is the mean that its times are stretched to.
    """

    concurrency: int = 8
    requests: int | None = None
    duration: float | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is sent: lengths are mean tokens, `spread` the standard deviation as a share of the mean.

    `prefix_tokens` come in front of `prompt_tokens` in the dataset shared-prefix, one of `prefixes` texts each time.
    """

    dataset: DatasetName = "random"
    prompt_tokens: int = 512
    output_tokens: int = 128
    spread: float = 0.0
    prefix_tokens: int = 1024
    prefixes: int = 8
    trace: Path | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `tokenizer` is a folder or a name on the Hugging Face hub; without it four characters are a token."""

    base_url: str
    model: str
    load: Load
    prompts: Prompts
    seed: int = 0
    tokenizer: str | None = None
    timeout: float = 300.0
    ignore_eos: bool = True

    def prompts_needed(self) -> int:
        """How many different prompts to prepare, so that none comes twice (below MOST_PROMPTS).

        For a duration without a rate it is assumed that a request takes a second or more.
        """
        load = self.load
        if load.requests is not None:
            return load.requests
        guess = (load.rate or load.concurrency) * (load.duration or 0.0)
        return min(MOST_PROMPTS, max(1, math.ceil(guess * 1.2)))


def check_load(load: Load, *, trace: bool) -> Load:
    """The load with its defaults: 100 requests when nothing ends a synthetic run.

    Raises:
        BenchError: two ends, or a number out of its range.
    """
    if load.requests is not None and load.duration is not None:
        raise BenchError(f"--requests: {load.requests} is given together with --duration; one of them ends the run")
    _positive("--concurrency", load.concurrency)
    _positive("--requests", load.requests)
    _positive("--duration", load.duration)
    _positive("--rate", load.rate)
    requests = DEFAULT_REQUESTS if load.requests is None and load.duration is None and not trace else load.requests
    return Load(load.concurrency, requests, load.duration, load.rate)


def check_prompts(prompts: Prompts) -> Prompts:
    """The prompts as they were given.

    Raises:
        BenchError: a number out of its range, or a trace file that is missing or not wanted.
    """
    for option, value in (
        ("--prompt-tokens", prompts.prompt_tokens),
        ("--output-tokens", prompts.output_tokens),
        ("--prefix-tokens", prompts.prefix_tokens),
        ("--prefixes", prompts.prefixes),
    ):
        _positive(option, value)
    if not 0 <= prompts.spread <= 1:
        raise BenchError(f"--spread: {prompts.spread} is not a share of the length; give 0 to 1")
    if prompts.dataset == "trace" and prompts.trace is None:
        raise BenchError("--trace: missing with --dataset trace; name a Mooncake JSONL or an Azure CSV file")
    if prompts.dataset != "trace" and prompts.trace is not None:
        raise BenchError(f"--trace: not used with --dataset {prompts.dataset}; drop it or say --dataset trace")
    return prompts


def _positive(option: str, value: float | None) -> None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise BenchError(f"{option}: {value} is not above 0; give a positive number")
