"""How fast the emulated engine is, and what it writes down: one JSON file, named by SGLANG_EMULATOR_CONFIG."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rehearsal.engine.timing import Rates

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_VARIABLE = "SGLANG_EMULATOR_CONFIG"
# SGLang's own variables, honoured here too (srt/environ.py and managers/tokenizer_manager.py of 0.5.23).
HEALTH_GENERATION_VARIABLE = "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION"
FORCE_SHUTDOWN_VARIABLE = "SGL_FORCE_SHUTDOWN"
GIB = 2**30


class ConfigError(Exception):
    """The emulator's configuration cannot be used; the message names the field and the remedy."""


@dataclass(frozen=True)
class EmulatorConfig:
    """Everything that the emulator's command line, which is SGLang's, has no word for.

    Times are model seconds; the wall clock waits `time_scale` times as long (0.1 = ten times as fast).
    """

    time_scale: float = 1.0
    boot_seconds: float = 0.0
    """Until the port opens: real SGLang loads the weights first."""
    warmup_seconds: float = 0.0
    """After that, /health and /ready answer 503 for so long."""
    health_seconds: float = 1.0
    """How long /health takes: SGLang 0.5.23 looks for its one generated token after a sleep of one second."""
    drain_poll_seconds: float = 5.0
    """After SIGTERM, SGLang 0.5.23 looks every 5 s whether any request is left."""
    min_tick_seconds: float = 0.004
    """Shortest wall-clock wait between two rounds of sending; tokens in between go out together."""
    rates: Rates = field(default_factory=Rates)
    gpu_memory_gib: float = 44.7
    """What an L40S shows as total memory (NVIDIA's data sheet: 48 GB)."""
    weight_gib: float = 18.0
    kv_bytes_per_token: int = 262_144
    mem_fraction_static: float = 0.87
    """Used when the argument is not given; SGLang would compute one."""
    context_length: int = 32_768
    """Used when neither the argument nor the model folder's config.json says."""
    max_running_requests: int = 256
    cache_block_tokens: int = 16
    """The prefix cache matches whole blocks of this size; SGLang's matches single tokens at page size 1."""
    shortest_answer: int = 200
    longest_answer: int = 600
    """An answer that nothing cuts has a length between the two, decided by the prompt."""
    ledger: str | None = None
    """File for one JSON line per finished request."""
    health_generates: bool = True
    force_shutdown: bool = False

    def total_tokens(self, mem_fraction_static: float | None, gpus: int) -> int:
        """KV capacity: the static share of the GPUs' memory, less the weights."""
        fraction = self.mem_fraction_static if mem_fraction_static is None else mem_fraction_static
        tokens = int((self.gpu_memory_gib * gpus * fraction - self.weight_gib) * GIB / self.kv_bytes_per_token)
        if tokens <= 0:
            raise ConfigError(
                f"mem_fraction_static: {fraction} of {gpus} x {self.gpu_memory_gib} GiB leaves nothing beside "
                f"{self.weight_gib} GiB of weights; raise it or use more GPUs"
            )
        return tokens


def load_config(environment: Mapping[str, str]) -> EmulatorConfig:
    """The configuration that the environment names. Raises ConfigError."""
    raw = _read(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else {}
    raw.setdefault("health_generates", environment.get(HEALTH_GENERATION_VARIABLE, "1") not in ("0", "false"))
    raw.setdefault("force_shutdown", environment.get(FORCE_SHUTDOWN_VARIABLE, "0") in ("1", "true"))
    return build(raw)


def _read(path: str) -> dict[str, Any]:
    try:
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{CONFIG_VARIABLE}: cannot read {path}: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{CONFIG_VARIABLE}: {path} must hold a JSON object")
    return raw


def build(raw: dict[str, Any]) -> EmulatorConfig:
    """The configuration of these fields, defaults for the rest; takes `rates` out of `raw`. Raises ConfigError."""
    _check(raw, EmulatorConfig, "")
    rates = raw.pop("rates", {})
    _check(rates, Rates, "rates.")
    config = EmulatorConfig(rates=Rates(**rates), **raw)
    if config.time_scale <= 0 or config.cache_block_tokens < 1 or config.shortest_answer > config.longest_answer:
        raise ConfigError("time_scale and cache_block_tokens must be above 0, shortest_answer not above longest_answer")
    return config


def _check(raw: dict[str, Any], model: type, prefix: str) -> None:
    names = {item.name for item in fields(model)}
    for name, value in raw.items():
        if name not in names:
            raise ConfigError(f"{prefix}{name}: no such key; use one of {', '.join(sorted(names))}")
        if not isinstance(value, (int, float, str, type(None))) and name != "rates":
            raise ConfigError(f"{prefix}{name}: {value!r} must be a number or a text")
