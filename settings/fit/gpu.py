"""What a GPU's memory is to a program: less than what is printed on the card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from settings.catalogue import GpuInstance

_MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """`driver_mib` is what `nvidia-smi` reports, from which SGLang picks its defaults; `usable_gib` what CUDA gives."""

    driver_mib: int
    usable_gib: float


# driver_mib: `nvidia-smi`, memory.total; usable_gib: PyTorch's "GPU 0 has a total capacity of …" in reports of failed
# allocations, the lowest of several. The T4G is taken to be as the T4, and for the RTX PRO 4500 no report was found:
# 0.55 GiB less than the driver's figure, about as for the RTX PRO 6000, is an assumption.
_MEMORY: Mapping[str, GpuMemory] = MappingProxyType(
    {
        "T4": GpuMemory(15360, 14.56),
        "T4G": GpuMemory(15360, 14.56),
        "A10G": GpuMemory(23028, 22.03),
        "L4": GpuMemory(23034, 22.03),
        "L40S": GpuMemory(46068, 44.39),
        "A100-40": GpuMemory(40960, 39.38),
        "A100-80": GpuMemory(81920, 79.14),
        "H100": GpuMemory(81559, 79.10),
        "H200": GpuMemory(143771, 139.72),
        "B200": GpuMemory(183359, 178.35),
        "B300": GpuMemory(275040, 267.69),
        "RTX PRO 4500": GpuMemory(32623, 31.30),
        "RTX PRO Server 6000": GpuMemory(97887, 94.96),
    }
)
_UNKNOWN_SHARE = 0.96  # of a GPU that is not in the table: as those above but the T4


def gpu_memory(instance: GpuInstance) -> GpuMemory:
    """Return the memory of one GPU of an instance type."""
    name = instance.gpu if instance.gpu != "A100" else f"A100-{40 if instance.gpu_memory_mib < 50_000 else 80}"  # noqa: PLR2004
    other = GpuMemory(instance.gpu_memory_mib, instance.gpu_memory_mib / _MIB_PER_GIB * _UNKNOWN_SHARE)
    return _MEMORY.get(name, other)


def capability(instance: GpuInstance) -> int:
    """Return the compute capability as SGLang counts it: 8.9 is 89."""
    major, _, minor = instance.compute_capability.partition(".")
    return int(major) * 10 + int(minor or 0)
