"""sglang-emulator: answers SGLang's HTTP API without a GPU, with a timing model, deterministic text and a ledger.

`tokens`, `text`, `timing`, `prefix_cache` and `batch` are pure (no clock, no input or output, no asyncio), so that a
simulator can use them by the million; `engine` drives them by the wall clock; `app` speaks HTTP.
"""

NAME = "sglang-emulator"
"""What the emulator calls itself: Server header, system_fingerprint, /model_info, /server_info, every log line."""

EMULATED_VERSION = "0.5.23"
"""The SGLang release whose HTTP API is emulated; the conformance test compares with exactly this one."""
