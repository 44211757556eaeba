# ruff: noqa: INP001 - hosts find it by their path
"""Stands for nvidia-ml-py's `pynvml` on a worker of the rehearsal, which has no GPU: one GPU, made up.

Memory is the emulated engine's configuration, as SGLang takes its share at the start; utilisation and temperature
follow from whether the engine says that it runs requests. The on-host program is the same as with real GPUs.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass

from user_data.agent.host import load_config, rooted
from user_data.agent.metadata import MetadataClient

NVML_TEMPERATURE_GPU = 0
EMULATOR_CONFIG = "/opt/sglang/emulator/config.json"
GIB = 2**30
DRIVER_BYTES = GIB // 2
IDLE_CELSIUS, BUSY_CELSIUS = 38, 66
BUSY_PERCENT = 97
TIMEOUT_SECONDS = 1.0
RUNNING = "sglang:num_running_reqs"


class NVMLError(Exception):
    """As in NVML."""


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    total: int
    used: int


@dataclass(frozen=True)
class Utilization:
    """Percent."""

    gpu: int


def nvmlInit() -> None:  # noqa: N802 - NVML's name, as those below
    """There is nothing to start."""


def nvmlDeviceGetCount() -> int:  # noqa: N802
    """One GPU."""
    return 1


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802
    """A GPU is its own number here."""
    return index


def nvmlDeviceGetMemoryInfo(_handle: int) -> Memory:  # noqa: N802
    """The static share is taken while the engine answers; the defaults are the emulator's."""
    settings = json.loads(rooted(EMULATOR_CONFIG).read_text())
    total = int(settings.get("gpu_memory_gib", 44.7) * GIB)
    share = settings.get("mem_fraction_static", 0.87) if _running() is not None else 0
    return Memory(total, DRIVER_BYTES + int(share * total))


def nvmlDeviceGetUtilizationRates(_handle: int) -> Utilization:  # noqa: N802
    """Like a real one, it tells work from none, and not how much work."""
    return Utilization(BUSY_PERCENT if _running() else 0)


def nvmlDeviceGetTemperature(_handle: int, _sensor: int) -> int:  # noqa: N802
    """Warm while it works."""
    return BUSY_CELSIUS if _running() else IDLE_CELSIUS


def _running() -> float | None:
    """Requests that the engine runs, None while it does not answer."""
    worker = load_config().worker
    with MetadataClient() as metadata:
        address = metadata.identity().private_ip
    url = f"http://{address}:{worker.port if worker else 0}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
    except (OSError, ValueError):
        return None
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(RUNNING))
