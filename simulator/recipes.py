"""The policies by name, each as its makers publish it, with the one parameter that a sweep may turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from settings.workers import WorkerPool
from simulator.cloudwatch import STEP_SECONDS, Alarm
from simulator.policies import (
    KV_USAGE,
    LOAD,
    NEW_SEQUENCES,
    PROMPT_LOAD,
    QUEUED,
    RATE_PER_WORKER,
    Fixed,
    GuardedIn,
    Hpa,
    Kpa,
    Policy,
    StepOut,
    TargetTracking,
    Together,
    WakeUp,
)

PERCENT = 100.0
SAMPLE_WARMUP_SECONDS = 220.0
OURS, CLAIRVOYANT, FIXED = "ours", "clairvoyant", "fixed"


@dataclass(frozen=True, slots=True)
class OurNumbers:
    """The numbers of our own policy, as `[workers.scaling]` has them."""

    target_load: float
    quiet_seconds: int
    remaining_share: float
    kv_usage: float
    warmup: float
    target_prompt_load: float
    """In percent; 0: not looked at."""

    @classmethod
    def of(cls, pool: WorkerPool) -> OurNumbers:
        """What a pool's settings say."""
        scaling = pool.scaling
        return cls(
            target_load=scaling.target_load,
            quiet_seconds=scaling.scale_in_cooldown_seconds,
            remaining_share=scaling.scale_in_load_percent / PERCENT,
            kv_usage=scaling.kv_usage_high_percent / PERCENT,
            warmup=scaling.instance_warmup_seconds,
            target_prompt_load=scaling.target_prompt_load,
        )

    def policy(self) -> Policy:
        """What stacks/scaling.py builds: out on prompts, load and KV usage, guarded in, up from zero."""
        prompts, share = self.target_prompt_load, self.remaining_share
        parts: list[Policy] = [self._out(LOAD, self.target_load)]
        if prompts:
            parts.append(self._out(PROMPT_LOAD, prompts))
        if self.kv_usage:
            parts.append(StepOut(Alarm(KV_USAGE, True, self.kv_usage), self.warmup))  # noqa: FBT003
        parts += [
            GuardedIn(self.target_load * share, self.quiet_seconds, self.kv_usage, prompts * share),
            WakeUp(),
        ]
        return Together(tuple(parts))

    def _out(self, metric: str, target: float) -> Policy:
        return TargetTracking(metric, target, self.warmup, period=STEP_SECONDS, scale_in=False)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A policy: where it comes from, its published parameter, and what a sweep tries."""

    name: str
    source: str
    parameter: str
    published: float
    tried: tuple[float, ...]
    make: Callable[[float], Policy]


def _tracking(metric: str) -> Callable[[float], Policy]:
    return lambda target: TargetTracking(metric, target, SAMPLE_WARMUP_SECONDS)


BASELINES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                "new-sequences",
                "AWS sample: target tracking on #new-seq of SGLang's prefill lines, at one minute, warm-up 220 s. A "
                "batch starts what waited when the one before it ended: taken here as the queue per worker, at least "
                "1 while there is traffic.",
                "sequences",
                4.0,
                (1.05, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0),
                _tracking(NEW_SEQUENCES),
            ),
            Recipe(
                "request-rate",
                "Target tracking on requests per second and worker at one minute (dstack's only metric; SageMaker's "
                "InvocationsPerInstance). None publishes a default for a 32B model; 1 is taken.",
                "requests/s",
                1.0,
                (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0),
                _tracking(RATE_PER_WORKER),
            ),
            Recipe(
                "queue-depth",
                "KEDA on waiting requests (llm-d, vLLM production-stack): any queue means out, workers = queue / "
                "threshold, one at least; in after 300 s.",
                "queued requests",
                1.0,
                (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
                lambda threshold: Hpa(QUEUED, threshold, total=True),
            ),
            Recipe(
                "concurrency",
                "Knative (KServe): windows of 60 s and 6 s, panic at 200 %; its default soft limit is 100.",
                "requests per worker",
                100.0,
                (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0),
                Kpa,
            ),
            Recipe(
                "kv-usage",
                "AIBrix's sample: KV usage 0.5, tolerance 0.1, 300 s before it goes in.",
                "share of KV memory",
                0.5,
                (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
                lambda target: Hpa(KV_USAGE, target),
            ),
        )
    }
)
NAMES = (FIXED, *BASELINES, OURS, CLAIRVOYANT)
OUR_TARGETS = (30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 100.0, 120.0)


def ours(numbers: OurNumbers) -> Recipe:
    """Our policy as a recipe: its parameter is target_prompt_load."""

    def make(target: float) -> Policy:
        return replace(numbers, target_prompt_load=target).policy()

    source = "stacks/scaling.py with the environment's numbers."
    return Recipe(OURS, source, "target_prompt_load", numbers.target_prompt_load, OUR_TARGETS, make)


def fixed(workers: int, most: int) -> Recipe:
    """A fleet that never changes."""
    tried = tuple(float(count) for count in range(1, most + 1))
    return Recipe(FIXED, "The same number of workers all the time.", "workers", float(workers), tried, _fixed)


def _fixed(workers: float) -> Policy:
    return Fixed(int(workers))
