"""What the engine says about itself: /model_info, /server_info, /v1/models, /v1/loads and the gauges of /metrics."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rehearsal.engine import EMULATED_VERSION, NAME

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from rehearsal.engine.engine import Engine

CORE = (
    "timestamp", "dp_rank", "num_running_reqs", "num_waiting_reqs", "num_waiting_uncached_tokens",
    "num_used_tokens", "num_total_tokens", "num_active_tokens", "num_prealloc_ready_tokens",
    "max_total_num_tokens", "max_running_requests", "token_usage", "gen_throughput", "cache_hit_rate",
    "utilization", "total_prefill_uncached_tokens", "total_prefill_busy_us", "decode_moments",
)  # fmt: skip
SECTIONS = {"memory": "memory", "disagg": "disaggregation", "queues": "queues"}
# Valid names whose sections a plain text model does not have; any other name is SGLang's error 500.
EMPTY_SECTIONS = frozenset({"all", "core", "spec", "lora"})


def model_config(model_path: str) -> dict[str, Any]:
    """The model folder's config.json, where there is one: the emulator needs none of its weights."""
    path = Path(model_path) / "config.json"
    if not path.is_file():
        return {}
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def model_info(engine: Engine) -> dict[str, Any]:
    """Body of /model_info."""
    given = engine.arguments.everything
    config = model_config(engine.arguments.model_path)
    names = ("load_format", "reasoning_parser", "tool_call_parser", "preferred_sampling_params", "tokenizer_path")
    return {
        "emulator": NAME,
        "model_path": engine.arguments.model_path,
        "served_model_name": engine.arguments.served_model_name,
        "is_generation": True,
        "weight_version": "default",
        "disaggregation_mode": "null",
        "has_image_understanding": False,
        "has_audio_understanding": False,
        "model_type": config.get("model_type", "emulated"),
        "architectures": config.get("architectures", ["EmulatedForCausalLM"]),
        **{name: given[name] for name in names},
    }


def server_info(engine: Engine) -> dict[str, Any]:
    """Body of /server_info: every argument, and the live state.

    Like SGLang 0.5.23 it shows the API key, to callers who hold it.
    """
    return {
        **engine.arguments.everything,
        "emulator": NAME,
        "status": "ready",
        "version": EMULATED_VERSION,
        "frontend": "python",
        "max_total_num_tokens": engine.limits.max_total_tokens,
        "max_req_input_len": min(engine.context_length, engine.limits.max_total_tokens) - 6,
        "kv_events": None,
        "startup_time": {"load_weight": engine.config.boot_seconds},
        "internal_states": [
            {
                "effective_max_running_requests_per_dp": engine.limits.max_running,
                "last_gen_throughput": throughput(engine),
                "memory_usage": {"token_capacity": engine.limits.max_total_tokens},
            }
        ],
    }


def model_card(engine: Engine) -> dict[str, Any]:
    """One entry of /v1/models."""
    name = engine.arguments.served_model_name
    return {
        "id": name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "sglang",
        "root": name,
        "parent": None,
        "max_model_len": engine.context_length,
    }


def throughput(engine: Engine) -> float:
    """Tokens per second of model time at the present batch."""
    batch = len(engine.model.running)
    return batch / engine.model.rates.step_seconds(batch, engine.model.context_tokens) if batch else 0.0


def hit_rate(engine: Engine) -> float:
    """Share of prompt tokens that came from the cache since the start (SGLang's is that of the latest prefill log)."""
    total = engine.prefilled_tokens + engine.cached_tokens
    return engine.cached_tokens / total if total else 0.0


def load(engine: Engine) -> dict[str, Any]:
    """One rank's entry of /v1/loads, with every section."""
    model, limits = engine.model, engine.limits
    waiting = [work for work, _ in model.waiting.values()]
    queued = sum(work.prompt_tokens for work in waiting)
    used = model.cache.used_tokens
    running = len(model.running) + len(model.prefilling)
    computed = engine.prefilled_tokens
    core = (
        time.time(), 0, running, len(waiting), queued, used, used + queued, used, 0,
        limits.max_total_tokens, limits.max_running, round(used / limits.max_total_tokens, 4), throughput(engine),
        hit_rate(engine), running / limits.max_running, computed,
        int(computed / model.rates.prefill_tokens_per_second * 1e6),
        model.moments if model.moments[0] else None,
    )  # fmt: skip
    kv_gib = engine.limits.max_total_tokens * engine.config.kv_bytes_per_token / 2**30
    zero_queues = ["prefill_bootstrap", "prefill_inflight", "decode_prealloc", "decode_transfer", "decode_retracted"]
    return {
        **dict(zip(CORE, core, strict=True)),
        "memory": {
            "weight_gb": engine.config.weight_gib,
            "kv_cache_gb": round(kv_gib, 3),
            "graph_gb": 0.0,
            "token_capacity": limits.max_total_tokens,
        },
        "disaggregation": {
            "mode": "null",
            **{f"{name}_queue_reqs": 0 for name in zero_queues},
            "kv_transfer_speed_gb_s": 0.0,
            "kv_transfer_latency_ms": 0.0,
        },
        "queues": {"waiting": len(waiting), "grammar": 0, "paused": 0, "retracted": 0, "prealloc_ready": 0},
    }


def loads(engine: Engine, include: AbstractSet[str], rank: str | None) -> dict[str, Any]:
    """Body of /v1/loads. Raises KeyError for a section that SGLang does not know."""
    for name in include - EMPTY_SECTIONS:
        SECTIONS[name]
    entry = load(engine)
    if include and "all" not in include:
        keep = {SECTIONS[name] for name in include if name in SECTIONS}
        entry = {key: value for key, value in entry.items() if key in CORE or key in keep}
    return {
        "timestamp": datetime.now(UTC).isoformat(),
        "version": EMULATED_VERSION,
        "accelerator": None,
        "num_accelerators": engine.arguments.tp_size,
        "loads": [] if rank not in (None, "0") else [entry],
    }


def loads_text(body: dict[str, Any]) -> str:
    """/v1/loads?format=prometheus."""
    lines: list[str] = []
    for entry in body["loads"]:
        for key, value in entry.items():
            prefix = "disagg" if key == "disaggregation" else key
            numbers = {f"{prefix}_{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
            for name, number in numbers.items():
                if isinstance(number, (int, float)) and name != "dp_rank":
                    lines += [f"# TYPE sglang_{name} gauge", f'sglang_{name}{{dp_rank="0"}} {number}']
    return "\n".join(lines) + "\n"


def set_gauges(engine: Engine) -> None:
    """Bring the gauges of /metrics up to date."""
    model, limits, cache = engine.model, engine.limits, engine.model.cache
    capacity = limits.max_total_tokens
    running = len(model.running) + len(model.prefilling)
    values: dict[str, float] = {
        "num_running_reqs": running,
        "num_queue_reqs": len(model.waiting),
        "num_used_tokens": cache.used_tokens,
        "kv_used_tokens": cache.used_tokens,
        "kv_evictable_tokens": cache.evictable_tokens,
        "kv_available_tokens": capacity - cache.used_tokens - cache.evictable_tokens,
        "max_total_num_tokens": capacity,
        "token_usage": cache.used_tokens / capacity,
        "full_token_usage": cache.used_tokens / capacity,
        "decode_sum_seq_lens": model.context_tokens,
        "cache_hit_rate": hit_rate(engine),
        "gen_throughput": throughput(engine),
        "utilization": running / limits.max_running,
        "page_size": engine.arguments.page_size,
        "num_pages": capacity // engine.arguments.page_size,
        "context_len": engine.context_length,
        "num_retracted_reqs": 0,
        "num_paused_reqs": 0,
    }
    for name, value in values.items():
        engine.metrics.set(name, value)
    engine.metrics.set("startup_time_seconds", engine.config.boot_seconds, phase="load_weight")
