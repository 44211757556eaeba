"""The calls with which the emulator and the real engine are compared, and what may differ between their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Long enough for a whole block of the emulator's cache, so that the second time both have cached tokens.
PROMPT = "Licensed under the Apache License, Version 2.0; you may not use this file except in compliance with it. " * 3
CHAT = [{"role": "system", "content": PROMPT}, {"role": "user", "content": "Say it again."}]
SHORT = {"max_tokens": 24, "temperature": 0, "ignore_eos": True}
NATIVE = {"max_new_tokens": 24, "temperature": 0, "ignore_eos": True}
# More tokens than the tiny model's 8,192 in either tokenizer.
TOO_LONG = "word and " * 8000
COUNTED = {"include_usage": True}


@dataclass(frozen=True)
class Call:
    """One request."""

    name: str
    method: str
    path: str
    body: Any = None
    raw: bytes | None = None
    content_type: str = "application/json"


def _generate(name: str, text: object = PROMPT, **body: object) -> Call:
    return Call(f"generate {name}", "POST", "/generate", {"text": text, "sampling_params": NATIVE} | body)


def _completion(name: str, **body: object) -> Call:
    full = {"model": "tiny", "prompt": PROMPT} | SHORT | body
    return Call(f"completion {name}", "POST", "/v1/completions", full)


def _chat(name: str, **body: object) -> Call:
    full = {"model": "tiny", "messages": CHAT} | SHORT | body
    return Call(f"chat {name}", "POST", "/v1/chat/completions", full)


GENERATIONS = (
    _generate("cold"),
    _generate("warm"),
    _generate("streamed", stream=True),
    _generate("one token", sampling_params=NATIVE | {"max_new_tokens": 1}),
    _generate("two texts", text=[PROMPT, PROMPT + "more"]),
    _generate("ids", text=None, input_ids=list(range(5, 60))),
    _completion("plain"),
    _completion("two prompts", prompt=[PROMPT, PROMPT + "more"]),
    _completion("n=2", n=2),
    _completion("streamed", stream=True),
    _completion("streamed, counted", stream=True, stream_options=COUNTED),
    _completion("streamed, always counted", stream=True, stream_options=COUNTED | {"continuous_usage_stats": True}),
    _completion("of another model", model="somebody-elses"),
    _chat("cold", messages=[*CHAT, {"role": "assistant", "content": "No."}]),
    _chat("plain"),
    _chat("parts", messages=[{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]),
    _chat("n=2", n=2),
    _chat("by another word", max_tokens=None, max_completion_tokens=8),
    _chat("of another model", model="somebody-elses"),
    _chat("streamed", stream=True),
    _chat("streamed, counted", stream=True, stream_options=COUNTED),
)
FAULTS = (
    _generate("without text", text=None),
    _generate("too long", text=TOO_LONG),
    _generate("too long, streamed", text=TOO_LONG, stream=True),
    _generate("negative", sampling_params={"max_new_tokens": -2}),
    _generate("unknown parameter", sampling_params={"bogus": 1}),
    Call("generate not JSON", "POST", "/generate", raw=b"{bad"),
    _completion("without prompt", prompt=""),
    _completion("too long", prompt=TOO_LONG),
    _completion("too much wanted", max_tokens=9000),
    Call("completion not JSON", "POST", "/v1/completions", raw=b"{bad"),
    Call("completion of another type", "POST", "/v1/completions", raw=b"{}", content_type="text/plain"),
    Call("completion missing", "POST", "/v1/completions", {"model": "tiny"}),
    _chat("without messages", messages=[]),
    _chat("negative", max_tokens=-1),
    _chat("too long, streamed", messages=[{"role": "user", "content": TOO_LONG}], stream=True),
    Call("chat missing", "POST", "/v1/chat/completions", {"model": "tiny"}),
)
QUESTIONS = tuple(
    Call(path, "GET", path)
    for path in (
        "/", "/health", "/health_generate", "/ready", "/ping", "/model_info", "/get_model_info", "/server_info",
        "/get_server_info", "/v1/models", "/v1/models/tiny", "/v1/models/other", "/v1/loads",
        "/v1/loads?include=core", "/v1/loads?include=core,disagg,queues,memory", "/v1/loads?include=bogus",
        "/v1/loads?dp_rank=3", "/get_load", "/get_loads", "/loads", "/nosuch", "/generate", "/metrics",
    )
)  # fmt: skip
COMMANDS = (
    Call("/flush_cache", "POST", "/flush_cache"),
    Call("/flush_cache by GET", "GET", "/flush_cache"),
    Call("/abort_request", "POST", "/abort_request", {"rid": "nobody"}),
    Call("/abort_request of nothing", "POST", "/abort_request", {}),
    Call("HEAD /health", "HEAD", "/health"),
    Call("POST /ready", "POST", "/ready"),
    Call("DELETE /v1/models", "DELETE", "/v1/models"),
)

# Keys that only one of the two has, each with its reason.
ALLOWED_KEYS = frozenset(
    {
        "system_fingerprint",  # the emulator says what it is; SGLang sends none
        "emulator",  # as above, in /model_info and /server_info
        "model_info.embedding",  # what an embedding model would do; the emulator has none
        "get_model_info.embedding",
        # /server_info: results of SGLang's own resolution and hardware, of no use to a client of the emulator
        "hicache_object_layout",
        "launch_command",
        "startup_time",
        "internal_states",
    }
)
# /server_info of the real engine also has fields that are no command-line arguments.
SERVER_INFO_ONLY_REAL = frozenset(
    {
        "aux_hidden_state_capture", "custom_sigquit_handler", "enable_cp_tp_group_sharing", "grpc_worker_threads",
        "speculative_boundary_reduction", "stat_loggers", "uses_mamba_radix_cache", "watermark_context_window",
        "watermark_default_enabled", "watermark_enforce_all", "watermark_key", "watermark_key_b",
        "watermark_max_probability", "watermark_mixing_probability",
    }
)  # fmt: skip
