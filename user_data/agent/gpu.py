"""What the host's GPUs say of themselves, through NVML's Python binding (`pynvml` of nvidia-ml-py).

The binding is on worker hosts only, and needs NVIDIA's library, which comes with the driver: both are looked for when
they are first needed, and a host without one of them publishes nothing of GPUs.
"""

from __future__ import annotations

import importlib
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from user_data import metrics
from user_data.agent.distribution import Distribution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from user_data.agent.datum import Value

BINDING = "pynvml"
PATIENCE_SECONDS = 2.0
"""A driver that hangs answers nothing, for ever; one that works answers within milliseconds (assumption)."""


class GpuError(RuntimeError):
    """The GPUs did not say anything."""


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment: shares in percent, the temperature in degrees Celsius."""

    memory: float
    utilization: float
    temperature: float


class Gpus(Protocol):
    """Where the GPUs are asked; `Nvml` is it."""

    def read(self) -> tuple[Gpu, ...]:
        """Return what each GPU says."""


class Nvml:
    """The edge to NVML."""

    def __init__(self, load: Callable[[str], Any] = importlib.import_module) -> None:
        """`load` imports the binding."""
        self._load = load
        self._binding: Any = None

    def read(self) -> tuple[Gpu, ...]:
        """Return what each GPU says.

        Raises:
            GpuError: no binding, no library, no driver, or a GPU that does not answer.
        """
        try:
            nvml = self._binding = self._binding or self._started()
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            return tuple(_gpu(nvml, handle) for handle in handles)
        except Exception as error:  # the binding's own errors have no common class before it is imported
            self._binding = None  # after a reset of the driver only a new start finds the GPUs
            raise GpuError(f"{BINDING}: {type(error).__name__}: {error}") from error

    def _started(self) -> Any:  # noqa: ANN401 - the binding ships no types
        binding = self._load(BINDING)
        binding.nvmlInit()
        return binding


def _gpu(nvml: Any, handle: object) -> Gpu:  # noqa: ANN401
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        memory=100 * memory.used / memory.total,
        utilization=float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        temperature=float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
    )


class Patient:
    """Asks the GPUs in a thread of its own, and does not wait for a driver that hangs."""

    def __init__(self, gpus: Gpus, patience: float = PATIENCE_SECONDS) -> None:
        """`patience` in seconds."""
        self._gpus = gpus
        self._patience = patience
        self._thread: threading.Thread | None = None
        self._answer: tuple[Gpu, ...] | Exception | None = None

    def read(self) -> tuple[Gpu, ...]:
        """Return what each GPU says.

        Raises:
            GpuError: no answer within the patience, an earlier question is not answered yet, or an error.
        """
        if self._thread is None or not self._thread.is_alive():
            self._answer = None
            self._thread = threading.Thread(target=self._ask, name="gpus", daemon=True)
            self._thread.start()
        self._thread.join(self._patience)
        if self._answer is None or self._thread.is_alive():
            raise GpuError(f"{BINDING}: no answer within {self._patience:g} s")
        if isinstance(self._answer, Exception):
            raise GpuError(str(self._answer)) from self._answer
        return self._answer

    def _ask(self) -> None:
        try:
            self._answer = self._gpus.read()
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            self._answer = error


def gpu_values(gpus: Iterable[Gpu]) -> dict[metrics.Metric, Value]:
    """Return the values of a host's GPUs: each GPU is one of a metric's observations."""
    found = tuple(gpus)
    if not found:
        return {}
    return {
        metrics.GPU_MEMORY: _each(gpu.memory for gpu in found),
        metrics.GPU_UTILIZATION: _each(gpu.utilization for gpu in found),
        metrics.GPU_TEMPERATURE: _each(gpu.temperature for gpu in found),
    }


def _each(values: Iterable[float]) -> Distribution:
    return Distribution({value: float(count) for value, count in sorted(Counter(values).items())})
