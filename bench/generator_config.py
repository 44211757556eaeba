"""A plan as AIPerf's configuration (schema 2.0) and environment. Nothing is started here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.plan import Plan
from bench.tokenizer import CHARACTERS_PER_TOKEN
from bench.traces import BLOCK_TOKENS

KEY_VARIABLE = "OPENAI_API_KEY"
GRACE_SECONDS = 60
"""How long requests in flight may go on after a run's duration; then they are cancelled and not counted."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
# Either would win over HF_HOME.
_CACHES = frozenset({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the run's files are; `hub` is a hub cache that holds the tokenizer, None the user's own and the network."""

    hub: Path | None
    tokenizer: str
    trace: Path
    artifacts: Path


def config(plan: Plan, folders: Folders, *, with_key: bool) -> dict[str, Any]:
    """The configuration file's content. The key is not in it: AIPerf takes it from its own environment."""
    endpoint: dict[str, Any] = {
        "url": f"{plan.base_url}/chat/completions",
        "type": "chat",
        "streaming": True,
        "useServerTokenCount": True,
        "timeout": plan.timeout,
    }
    if with_key:
        endpoint["apiKey"] = f"${{{KEY_VARIABLE}}}"
    if plan.ignore_eos:
        endpoint["extra"] = {"ignore_eos": True}
    benchmark: dict[str, Any] = {
        "model": plan.model,
        "endpoint": endpoint,
        "tokenizer": {"name": folders.tokenizer},
        "dataset": _dataset(plan, folders),
        "phases": _phase(plan),
        "artifacts": {"dir": str(folders.artifacts), "summary": False, "records": ["jsonl"]},
        "runtime": {"ui": "none"},
        # Neither is the endpoint's business: our own metrics are in CloudWatch and on the hosts.
        "gpuTelemetry": {"enabled": False},
        "serverMetrics": {"enabled": False},
    }
    return {"schemaVersion": "2.0", "randomSeed": plan.seed, "benchmark": benchmark}


def characters_per_token(plan: Plan) -> int:
    """By what lengths in tokens are multiplied for the tokenizer that the generator is given."""
    return 1 if plan.tokenizer else CHARACTERS_PER_TOKEN


def environment(own: Mapping[str, str], api_key: str | None, hub: Path | None) -> dict[str, str]:
    """The generator's environment: our own with the key; offline when the tokenizer is in a cache of ours."""
    kept = {name: value for name, value in own.items() if name != KEY_VARIABLE}
    if hub is not None:
        kept = {name: value for name, value in kept.items() if name not in _CACHES} | {"HF_HOME": str(hub), **_OFFLINE}
    settled = {"NO_COLOR": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {**kept, **settled, **({KEY_VARIABLE: api_key} if api_key else {})}


def _dataset(plan: Plan, folders: Folders) -> dict[str, Any]:
    prompts, factor = plan.prompts, characters_per_token(plan)
    if prompts.dataset == "trace":
        blocks = BLOCK_TOKENS * factor
        trace = str(folders.trace)
        return {
            "type": "file",
            "path": trace,
            "format": "mooncake_trace",
            "sampling": "sequential",
            "blockSize": blocks,
        }
    lengths = {
        "isl": _length(prompts.prompt_tokens * factor, prompts.spread),
        "osl": _length(prompts.output_tokens, prompts.spread),
    }
    made: dict[str, Any] = {"type": "synthetic", "entries": plan.prompts_needed(), "prompts": lengths}
    if prompts.dataset == "shared-prefix":
        made["prefixPrompts"] = {"poolSize": prompts.prefixes, "length": prompts.prefix_tokens * factor}
    return made


def _length(mean: int, spread: float) -> dict[str, float]:
    return {"mean": mean, "stddev": mean * spread}


def _phase(plan: Plan) -> dict[str, Any]:
    load = plan.load
    if plan.prompts.dataset == "trace":
        return {"type": "fixed_schedule", "autoOffset": True, "concurrency": load.concurrency}
    arrivals: dict[str, Any] = {"type": "poisson", "rate": load.rate} if load.rate else {"type": "concurrency"}
    end = {"duration": load.duration, "gracePeriod": GRACE_SECONDS} if load.duration else {"requests": load.requests}
    return {**arrivals, "concurrency": load.concurrency, **end}
