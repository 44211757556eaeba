"""SGLang's Prometheus metrics, by its names, types, labels and buckets (read from /metrics of SGLang 0.5.23).

Only families that mean something without a GPU are here; tests/rehearsal/engine lists each of the others with the
reason, and compares this table with the real engine's.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

MODEL = ("engine_type", "model_name")
STREAMING = (*MODEL, "is_streaming")
RANK = (*MODEL, "tp_rank", "pp_rank", "moe_ep_rank")
# fmt: off
_TOKENS = (100, 300, 500, 700, *range(1000, 2000, 500), *range(2000, 10_001, 1000), *range(12_500, 30_001, 2500),
           35_000, 40_000, 60_000, 80_000, 100_000, 200_000, 300_000, 400_000, 600_000, 800_000, 1_000_000, 1_100_000)
_LATENCY = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
_PER_TOKEN = (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6,
              0.8, 1, 2, 4, 6, 8)
_QUEUE = (0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 10, 15, *range(20, 101, 10),
          *range(200, 1001, 100), *range(1200, 2001, 200), 2500, 3000)
# fmt: on
_STAGE = tuple(0.001 * 1.62**power for power in range(30))
_LOADS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1)

COUNTERS: dict[str, tuple[str, ...]] = {
    "num_requests": STREAMING,
    "prompt_tokens": STREAMING,
    "generation_tokens": STREAMING,
    "cached_tokens": (*MODEL, "cache_source"),
    "num_aborted_requests": MODEL,
    "realtime_tokens": (*RANK, "mode"),
    "http_requests": ("endpoint", "method"),
    "http_responses": ("endpoint", "status_code", "method"),
}
GAUGES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "num_running_reqs", "num_queue_reqs", "num_used_tokens", "max_total_num_tokens", "token_usage",
            "full_token_usage", "kv_used_tokens", "kv_evictable_tokens", "kv_available_tokens", "decode_sum_seq_lens",
            "cache_hit_rate", "gen_throughput", "utilization", "page_size", "num_pages", "context_len",
        ),
        RANK,
    ),
    "num_retracted_reqs": (*RANK, "pid"),
    "num_paused_reqs": (*RANK, "pid"),
    "startup_time_seconds": (*MODEL, "phase"),
    "http_requests_active": ("endpoint", "method"),
}  # fmt: skip
HISTOGRAMS: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "time_to_first_token_seconds": (STREAMING, _LATENCY),
    "e2e_request_latency_seconds": (STREAMING, (*_LATENCY, 600, 1200, 1800, 2400)),
    "request_time_per_output_token_seconds": (STREAMING, _PER_TOKEN),
    "inter_token_latency_seconds": (MODEL, _PER_TOKEN),
    "prompt_tokens_histogram": (MODEL, _TOKENS),
    "uncached_prompt_tokens_histogram": (MODEL, _TOKENS),
    "generation_tokens_histogram": (MODEL, _TOKENS),
    "queue_time_seconds": (RANK, _QUEUE),
    "per_stage_req_latency_seconds": ((*RANK, "stage"), _STAGE),
    "get_loads_duration_seconds": (MODEL, _LOADS),
}
HELP = "As in SGLang; measured by sglang-emulator."


class Finished(NamedTuple):
    """What the metrics need to know of a finished request; times in seconds."""

    streaming: bool
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token: float
    total: float
    queued: float


class Metrics:
    """One engine's metrics in a registry of its own."""

    def __init__(self, model_name: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # SGLang's multi-process exposition has none either
        self.registry = CollectorRegistry()
        self._known = {
            "engine_type": "unified", "model_name": model_name, "tp_rank": "0", "pp_rank": "0", "moe_ep_rank": "0",
            "pid": str(os.getpid()), "cache_source": "device",
        }  # fmt: skip
        name = "sglang:{}".format
        self._counters = {k: Counter(name(k), HELP, v, registry=self.registry) for k, v in COUNTERS.items()}
        self._gauges = {k: Gauge(name(k), HELP, v, registry=self.registry) for k, v in GAUGES.items()}
        self._histograms = {
            k: Histogram(name(k), HELP, v, buckets=buckets, registry=self.registry)
            for k, (v, buckets) in HISTOGRAMS.items()
        }

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self._counters[name].labels(**self._labels(COUNTERS[name], labels)).inc(amount)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._gauges[name].labels(**self._labels(GAUGES[name], labels)).set(value)

    def move(self, name: str, amount: float, **labels: str) -> None:
        """Add to a gauge."""
        self._gauges[name].labels(**self._labels(GAUGES[name], labels)).inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add to a histogram."""
        self._histograms[name].labels(**self._labels(HISTOGRAMS[name][0], labels)).observe(value)

    def finished(self, request: Finished) -> None:
        """Account for a request that was answered completely."""
        streaming = str(request.streaming).lower()
        uncached = request.prompt_tokens - request.cached_tokens
        self.count("num_requests", is_streaming=streaming)
        self.count("prompt_tokens", request.prompt_tokens, is_streaming=streaming)
        self.count("generation_tokens", request.completion_tokens, is_streaming=streaming)
        if request.cached_tokens:
            self.count("cached_tokens", request.cached_tokens)
        self.count("realtime_tokens", uncached, mode="prefill_compute")
        self.count("realtime_tokens", request.cached_tokens, mode="prefill_cache")
        self.count("realtime_tokens", request.completion_tokens - 1, mode="decode")
        self.observe("e2e_request_latency_seconds", request.total, is_streaming=streaming)
        self.observe("time_to_first_token_seconds", request.first_token, is_streaming=streaming)
        if request.completion_tokens > 1:
            each = (request.total - request.first_token) / (request.completion_tokens - 1)
            self.observe("request_time_per_output_token_seconds", each, is_streaming=streaming)
        self.observe("prompt_tokens_histogram", request.prompt_tokens)
        self.observe("uncached_prompt_tokens_histogram", uncached)
        self.observe("generation_tokens_histogram", request.completion_tokens)
        self.observe("queue_time_seconds", request.queued)
        self.observe("per_stage_req_latency_seconds", 0.0, stage="request_process")
        self.observe("per_stage_req_latency_seconds", request.first_token - request.queued, stage="prefill_forward")

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)

    def _labels(self, names: tuple[str, ...], given: dict[str, str]) -> dict[str, str]:
        return {name: given[name] if name in given else self._known[name] for name in names}
