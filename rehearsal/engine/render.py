"""The bodies of generation answers, key by key as SGLang 0.5.23 sends them.

The one addition is `system_fingerprint`, which says that this is the emulator.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from rehearsal.engine import NAME, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rehearsal.engine.engine import Answering, Group

DONE = b"data: [DONE]\n\n"
QUEUE_FULL = "The request queue is full."
QUEUE_FULL_ERROR = {"object": "error", "message": QUEUE_FULL, "type": "SERVICE_UNAVAILABLE", "param": None, "code": 503}
_WEIGHTS = "default"


def event(body: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def native_error_event(message: str, code: int) -> bytes:
    """An error in a /generate stream, whose status 200 is already sent."""
    return event({"error": {"message": message, "type": "invalid_request_error", "code": code, "retryable": False}})


def queue_full_event(*, native: bool) -> bytes:
    """What a stream says, under status 200, when the queue is full."""
    return event(_native_refusal() if native else {"error": QUEUE_FULL_ERROR})


def _native_refusal() -> dict[str, Any]:
    """SGLang ends a /generate stream that it never admitted with an abort and no counts."""
    meta = {
        "id": uuid.uuid4().hex,
        "finish_reason": {"type": "abort", "status_code": 503, "message": QUEUE_FULL},
        "weight_version": _WEIGHTS,
        "e2e_latency": 0.0,
        "weight_versions": _weight_versions(0),
        "completion_tokens": 0,
        "response_sent_to_client_ts": time.time(),
    }
    return {"text": "", "output_ids": [], "meta_info": meta, "system_fingerprint": NAME}


def usage(sequences: Sequence[Answering], *, cache_report: bool, details: bool = True) -> dict[str, Any]:
    """Token counts of an answer; cached tokens only with --enable-cache-report."""
    prompt = sum(sequence.prompt_tokens for sequence in sequences)
    completion = sum(sequence.tokens for sequence in sequences)
    cached = {"cached_tokens": sum(sequence.cached_tokens for sequence in sequences)}
    body = {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": cached if cache_report else None,
        "reasoning_tokens": 0,
    }
    return body | {"completion_tokens_details": None} if details else body


def openai_answer(group: Group, *, cache_report: bool) -> dict[str, Any]:
    """A whole chat or text completion."""
    longest = max(sequence.tokens for sequence in group.sequences)
    return {
        **_head(group, "chat.completion" if group.ask.chat else "text_completion"),
        "choices": [_choice(group, sequence) for sequence in group.sequences],
        "usage": usage(group.sequences, cache_report=cache_report),
        "metadata": {"weight_version": _WEIGHTS, "weight_versions": _weight_versions(longest)},
        "system_fingerprint": NAME,
    }


def chat_chunk(group: Group, index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """One event of a chat stream."""
    choice = {
        "index": index,
        "delta": {"reasoning_content": None, **delta},
        "logprobs": None,
        "finish_reason": finish,
        "matched_stop": _matched_stop(finish),
    }
    return {**_head(group, "chat.completion.chunk"), "choices": [choice], "system_fingerprint": NAME}


def text_chunk(group: Group, sequence: Answering, before: int) -> dict[str, Any]:
    """One event of a completion stream: the text since the one before."""
    choice = {
        "index": sequence.index,
        "text": sequence.answer.text(before, sequence.tokens),
        "logprobs": None,
        "finish_reason": sequence.finish,
        "matched_stop": _matched_stop(sequence.finish),
    }
    return {**_head(group, "text_completion"), "choices": [choice], "usage": None, "system_fingerprint": NAME}


def usage_chunk(group: Group, *, cache_report: bool) -> dict[str, Any]:
    """The event after the last text when `stream_options.include_usage` is set: no choices, the counts."""
    kind = "chat.completion.chunk" if group.ask.chat else "text_completion"
    counts = usage(group.sequences, cache_report=cache_report, details=group.ask.chat)
    return {**_head(group, kind), "choices": [], "usage": counts, "system_fingerprint": NAME}


def native_answer(sequence: Answering, *, first_chunk: bool = False) -> dict[str, Any]:
    """What /generate says of a sequence; in a stream this is the whole text so far."""
    text = sequence.text
    meta: dict[str, Any] = {
        "id": sequence.key,
        "finish_reason": _native_finish(sequence),
        "prompt_tokens": sequence.prompt_tokens,
        "weight_version": _WEIGHTS,
        "num_retractions": 0,
        "storage_prefetch_wait": 0.0,
        "storage_staging_wait": 0.0,
        "forward_entry_time": sequence.admitted,
        "prefill_finished_time": sequence.first_token,
        "queue_time": (sequence.admitted or sequence.received) - sequence.received,
        "reasoning_tokens": 0,
        "completion_tokens": sequence.tokens,
        "cached_tokens": sequence.cached_tokens,
        "cached_tokens_details": _cached_details(sequence),
        "dp_rank": None,
    }
    if first_chunk or sequence.finish:
        meta["response_sent_to_client_ts"] = time.time()
    if sequence.finish:
        meta |= _native_end(sequence)
    return {"text": text, "output_ids": tokens.encode(text), "meta_info": meta, "system_fingerprint": NAME}


def _head(group: Group, kind: str) -> dict[str, Any]:
    first = group.sequences[0]
    return {"id": group.ask.rid or first.key, "object": kind, "created": int(first.received), "model": group.ask.model}


def _choice(group: Group, sequence: Answering) -> dict[str, Any]:
    text = sequence.text
    said = {"message": {"role": "assistant", "content": text, "reasoning_content": None}}
    return {
        "index": sequence.index,
        **(said if group.ask.chat else {"text": text}),
        "logprobs": None,
        "finish_reason": sequence.finish,
        "matched_stop": _matched_stop(sequence.finish),
    }


def _matched_stop(finish: str | None) -> int | None:
    """SGLang names the token that ended the text: the end-of-sequence token here."""
    return 2 if finish == "stop" else None


def _weight_versions(count: int) -> list[dict[str, Any]]:
    return [{"version": _WEIGHTS, "start": 0, "end": count}]


def _cached_details(sequence: Answering) -> dict[str, int] | None:
    return {"device": sequence.cached_tokens, "host": 0} if sequence.cached_tokens else None


def _native_finish(sequence: Answering) -> dict[str, Any] | None:
    reasons: dict[str | None, dict[str, Any]] = {
        "length": {"type": "length", "length": sequence.tokens},
        "stop": {"type": "stop", "matched": 2},
        "abort": {"type": "abort", "message": "Aborted", "status_code": None, "err_type": None},
    }
    return reasons.get(sequence.finish)


def _native_end(sequence: Answering) -> dict[str, Any]:
    ended = sequence.ended or sequence.received
    first = sequence.first_token or ended
    end: dict[str, Any] = {
        "weight_versions": _weight_versions(sequence.tokens),
        "e2e_latency": ended - sequence.received,
        "request_received_ts": sequence.received,
        "first_token_latency": first - sequence.received,
        "api_server_dispatch_finish_ts": sequence.received,
        "request_finished_ts": ended,
    }
    if sequence.tokens > 1:
        end["decode_throughput"] = (sequence.tokens - 1) / max(ended - first, 1e-6)
    return end
