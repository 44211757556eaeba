"""GPU instance types: what a worker pool may run on, and what it costs. Data: `settings/data/gpu_instances.csv`."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from settings.errors import Fault, FaultyValueError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

Architecture = Literal["x86_64", "arm64"]

# Families with an accelerator that this project cannot use, and why.
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "g6f": "has a fraction of a GPU, which needs NVIDIA's GRID driver",
        "gr6f": "has a fraction of a GPU, which needs NVIDIA's GRID driver",
        "g4ad": "has AMD GPUs, and SGLang's image is built for NVIDIA's",
        "g3": "has M60 GPUs, for which CUDA 13 makes no code",
        "g3s": "has M60 GPUs, for which CUDA 13 makes no code",
        "p2": "has K80 GPUs, for which CUDA 13 makes no code",
        "p3": "has V100 GPUs, for which CUDA 13 makes no code",
        "p3dn": "has V100 GPUs, for which CUDA 13 makes no code",
        "p6e-gb200": "exists only inside UltraServers, which no Auto Scaling group of single hosts can run",
        "dl1": "has Gaudi accelerators, not NVIDIA GPUs",
        "dl2q": "has Qualcomm accelerators, not NVIDIA GPUs",
        "inf1": "has Inferentia accelerators, not NVIDIA GPUs",
        "inf2": "has Inferentia accelerators, not NVIDIA GPUs",
        "trn1": "has Trainium accelerators, not NVIDIA GPUs",
        "trn1n": "has Trainium accelerators, not NVIDIA GPUs",
        "trn2": "has Trainium accelerators, not NVIDIA GPUs",
        "vt1": "has video transcoding cards, not GPUs",
        "f1": "has FPGAs, not GPUs",
        "f2": "has FPGAs, not GPUs",
    }
)
# An EC2 family name: class letters, generation, attribute letters, as in c7gn, im4gn, p6-b200. Naming convention:
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
_FAMILY = re.compile(r"(?P<series>[a-z]+)(?:-\d+tb)?(?P<generation>\d+)(?P<attributes>[a-z]*)(?:-[a-z0-9]+)*")
# Series without an accelerator, by the same page (general purpose, compute, memory, storage, high performance).
_NO_ACCELERATOR = frozenset({"a", "c", "d", "h", "hpc", "i", "im", "is", "m", "mac", "r", "t", "u", "x", "z"})


@dataclass(frozen=True)
class GpuInstance:
    """One instance type; `gpu_memory_mib` is that of one GPU. Rates are baseline and peak. Price: USD per hour."""

    instance_type: str
    gpu: str
    gpu_count: int
    gpu_memory_mib: int
    vcpus: int
    memory_gib: float
    architecture: Architecture
    compute_capability: str
    nvme_gb: int
    network_gbps: float
    network_peak_gbps: float
    ebs_mb_s: float
    ebs_peak_mb_s: float
    usd_per_hour: float | None

    @property
    def family(self) -> str:
        """The part before the dot."""
        return self.instance_type.partition(".")[0]

    @property
    def total_gpu_memory_mib(self) -> int:
        """Memory of all its GPUs."""
        return self.gpu_count * self.gpu_memory_mib


@dataclass(frozen=True)
class Catalogue:
    """All known GPU types, and where and when their on-demand prices were taken."""

    instances: Mapping[str, GpuInstance]
    price_region: str
    price_date: str

    @property
    def families(self) -> tuple[str, ...]:
        """Families in the order of the file."""
        return tuple(dict.fromkeys(instance.family for instance in self.instances.values()))


@cache
def catalogue() -> Catalogue:
    """Return the committed catalogue."""
    lines = files("settings").joinpath("data/gpu_instances.csv").read_text(encoding="utf-8").splitlines()
    notes = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# price-"))
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    instances = {row["instance_type"]: _instance(row) for row in rows}
    return Catalogue(MappingProxyType(instances), notes["price-region"], notes["price-date"])


def _instance(row: Mapping[str, str]) -> GpuInstance:
    return GpuInstance(
        instance_type=row["instance_type"],
        gpu=row["gpu"],
        gpu_count=int(row["gpu_count"]),
        gpu_memory_mib=int(row["gpu_memory_mib"]),
        vcpus=int(row["vcpus"]),
        memory_gib=float(row["memory_gib"]),
        architecture="arm64" if row["architecture"] == "arm64" else "x86_64",
        compute_capability=row["compute_capability"],
        nvme_gb=int(row["nvme_gb"]),
        network_gbps=float(row["network_gbps"]),
        network_peak_gbps=float(row["network_peak_gbps"]),
        ebs_mb_s=float(row["ebs_mb_s"]),
        ebs_peak_mb_s=float(row["ebs_peak_mb_s"]),
        usd_per_hour=float(row["usd_per_hour"]) if row["usd_per_hour"] else None,
    )


def find(instance_type: str) -> GpuInstance:
    """Return a GPU instance type.

    Raises:
        FaultyValueError: it has no GPU, has one that cannot be used, or does not exist; with a remedy.
    """
    known = catalogue().instances.get(instance_type)
    if known is not None:
        return known
    family = instance_type.partition(".")[0]
    parsed = _FAMILY.fullmatch(family)
    if family in _REFUSED:
        raise _refused(instance_type, _REFUSED[family], _use_a_family())
    if family in catalogue().families:
        raise _refused(instance_type, "is a size that its family does not have", f"use {_listed(_sizes(family), 'or')}")
    if parsed and parsed["series"] in _NO_ACCELERATOR:
        raise _refused(instance_type, "has no GPU", _use_a_family())
    near = did_you_mean(instance_type, catalogue().instances)
    raise _refused(
        instance_type, "is not a known instance type", f"did you mean {near!r}?" if near else _use_a_family()
    )


def _refused(instance_type: str, rule: str, remedy: str) -> FaultyValueError:
    return FaultyValueError(Fault("", instance_type, rule, remedy))


def _use_a_family() -> str:
    return f"use a {_listed(catalogue().families, 'or')} type"


def _sizes(family: str) -> tuple[str, ...]:
    return tuple(name for name, instance in catalogue().instances.items() if instance.family == family)


def _listed(names: tuple[str, ...], word: str) -> str:
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else names[0]


def host_architecture(instance_type: str) -> Architecture:
    """Return the processor architecture of any instance type, with or without a GPU.

    By EC2's naming convention a `g` among the letters after the generation means a Graviton processor (c7g, im4gn,
    g5g); `a1` and the Grace types of p6e are older and newer than that rule.

    Raises:
        FaultyValueError: the name does not have the form of an instance type.
    """
    family = instance_type.partition(".")[0]
    parsed = _FAMILY.fullmatch(family)
    if parsed is None:
        raise FaultyValueError(Fault("", instance_type, "is not an instance type", "write it like 'c7i.large'"))
    grace = "-gb" in family
    return "arm64" if "g" in parsed["attributes"] or family == "a1" or grace else "x86_64"
