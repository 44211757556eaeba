"""What an engine's Prometheus page says: the gauges and counters that are published. No call is made here.

SGLang 0.5.23's `/metrics` (it takes no API key). Its gauges of requests are set after every prefill, every 40 decode
steps (some 1.3 s) and when it becomes idle (srt/managers/scheduler_components/metrics_reporter.py), so they are some
seconds old at most. `realtime_tokens` counts prompt tokens when they are read, other counters only at a request's end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from user_data.agent.distribution import MAX_VALUES
from user_data.agent.prometheus import Buckets, Families, histogram, read, total

PATH = "/metrics"

RUNNING = "sglang:num_running_reqs"
QUEUED = "sglang:num_queue_reqs"
KV_USAGE = "sglang:token_usage"
THROUGHPUT = "sglang:gen_throughput"
PROMPT_TOKENS = "sglang:realtime_tokens_total"
ANSWERS = "sglang:num_requests_total"
ANSWERED_PROMPTS = "sglang:prompt_tokens_total"
ANSWER_TOKENS = "sglang:generation_tokens_total"
TTFT = "sglang:time_to_first_token_seconds_bucket"
BETWEEN = "sglang:inter_token_latency_seconds_bucket"
WANTED = frozenset({
    RUNNING, QUEUED, KV_USAGE, THROUGHPUT, PROMPT_TOKENS, ANSWERS, ANSWERED_PROMPTS, ANSWER_TOKENS, TTFT, BETWEEN,
})  # fmt: skip

PLAUSIBLE_REQUESTS = 1e6
"""No engine has so many requests at once (assumption): its router has 65,536 connections to it at most."""


class EnginePageError(ValueError):
    """The page is not one of an engine's metrics, or what it says cannot be."""


@dataclass(frozen=True)
class EngineReading:
    """What an engine said at one moment. Token counts and histograms are since its start."""

    running: float
    queued: float
    kv_usage: float | None = None
    """Share (0 to 1) of the KV memory that running requests hold; the mean of the ranks, None when it is not told."""
    throughput: float | None = None
    cached_tokens: float = 0.0
    computed_tokens: float = 0.0
    ttft: Buckets = field(default_factory=dict)
    """Of streams only: the others are the probes of watchdog and router, and clients who wait for the whole answer."""
    inter_token: Buckets = field(default_factory=dict)
    answers: float = 0.0
    """Streams that ended; like their prompts and tokens without probes, whose single tokens would hide what matters."""
    answered_prompt_tokens: float = 0.0
    answer_tokens: float = 0.0


def read_engine(text: str) -> EngineReading:
    """Read an engine's page.

    Raises:
        EnginePageError: it is no such page, or a value cannot be (no number, negative, endless, out of its range).
    """
    try:
        reading = _reading(read(text, WANTED))
    except ValueError as error:
        raise EnginePageError(f"{PATH}: {error}") from error
    _check(reading)
    return reading


def _reading(found: Families) -> EngineReading:
    missing = [name for name in (RUNNING, QUEUED) if not found.get(name)]
    if missing:
        raise ValueError(f"no {' and no '.join(missing)}")
    tokens = found.get(PROMPT_TOKENS, ())
    return EngineReading(
        running=total(found[RUNNING]),
        queued=total(found[QUEUED]),
        kv_usage=total(found[KV_USAGE]) / len(found[KV_USAGE]) if found.get(KV_USAGE) else None,
        throughput=total(found[THROUGHPUT]) if found.get(THROUGHPUT) else None,
        cached_tokens=total(tuple(one for one in tokens if one.labels.get("mode") == "prefill_cache")),
        computed_tokens=total(tuple(one for one in tokens if one.labels.get("mode") == "prefill_compute")),
        answers=_of_streams(found, ANSWERS),
        answered_prompt_tokens=_of_streams(found, ANSWERED_PROMPTS),
        answer_tokens=_of_streams(found, ANSWER_TOKENS),
        ttft=histogram(tuple(one for one in found.get(TTFT, ()) if one.labels.get("is_streaming") != "false")),
        inter_token=histogram(found.get(BETWEEN, ())),
    )


def _of_streams(found: Families, name: str) -> float:
    return total(tuple(one for one in found.get(name, ()) if one.labels.get("is_streaming") == "true"))


def _check(reading: EngineReading) -> None:
    if max(reading.running, reading.queued) > PLAUSIBLE_REQUESTS:
        raise EnginePageError(f"{PATH}: {reading.running:g} running and {reading.queued:g} queued cannot be")
    if reading.kv_usage is not None and reading.kv_usage > 1:
        raise EnginePageError(f"{PATH}: {KV_USAGE} {reading.kv_usage:g} is above 1")
    if max(len(reading.ttft), len(reading.inter_token)) > MAX_VALUES:
        raise EnginePageError(f"{PATH}: a histogram has more than {MAX_VALUES} edges")
