"""For which GPUs SGLang's released kernels carry code. Data: `settings/data/engine_builds.csv`."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from settings.catalogue import GpuInstance, catalogue
from settings.engine_catalogue import engine_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class EngineBuild:
    """The newest release with code for one GPU on one kind of processor; `sglang` is None where there is none."""

    gpu: str
    compute_capability: str
    architecture: str
    sglang: str | None
    kernel: str
    kernel_version: str
    code: str
    reason: str

    @property
    def is_current(self) -> bool:
        """Whether the release that this project pins carries code."""
        return self.sglang is not None and _version(self.sglang) >= _version(engine_catalogue().version)

    @property
    def why_not(self) -> str:
        """What there is instead of code in the pinned release."""
        return f"the last release that had any is {self.sglang}" if self.sglang else self.reason


@dataclass(frozen=True)
class EngineBuilds:
    """All GPUs, and the newest release when the wheels were read."""

    builds: Mapping[tuple[str, str], EngineBuild]
    newest_release: str

    def of(self, instance: GpuInstance) -> EngineBuild:
        """Return what there is for an instance type's GPU; every GPU of the catalogue has a row."""
        return self.builds[instance.gpu, instance.architecture]


@cache
def engine_builds() -> EngineBuilds:
    """Return the committed table."""
    lines = files("settings").joinpath("data/engine_builds.csv").read_text(encoding="utf-8").splitlines()
    notes = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# newest-release"))
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    builds = {(row["gpu"], row["architecture"]): _build(row) for row in rows}
    return EngineBuilds(MappingProxyType(builds), notes["newest-release"])


def _build(row: Mapping[str, str]) -> EngineBuild:
    return EngineBuild(
        gpu=row["gpu"],
        compute_capability=row["compute_capability"],
        architecture=row["architecture"],
        sglang=row["sglang"] or None,
        kernel=row["kernel"],
        kernel_version=row["kernel_version"],
        code=row["code"],
        reason=row["reason"],
    )


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a release: of 0.5.1.post2, which follows 0.5.1 and precedes 0.5.2, (0, 5, 1, 2)."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def nearest(instance: GpuInstance) -> GpuInstance | None:
    """Return the cheapest type with code in the pinned release that holds what this one holds.

    That is as many GPUs and as much GPU memory in all; the same processors where there is such a type.
    """
    fitting = [
        other
        for other in catalogue().instances.values()
        if engine_builds().of(other).is_current
        and other.gpu_count >= instance.gpu_count
        and other.total_gpu_memory_mib >= instance.total_gpu_memory_mib
    ]
    return min(fitting, key=lambda other: _distance(instance, other), default=None)


def _distance(instance: GpuInstance, other: GpuInstance) -> tuple[bool, float]:
    return other.architecture != instance.architecture, math.inf if other.usd_per_hour is None else other.usd_per_hour
