"""Where a worker's weights and its engine's files come from, for each load path."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from settings.boots import constants as known
from settings.boots.constants import GIB, MIB
from settings.boots.phases import Step
from settings.boots.rates import ebs_rate, mib_to_mb, nvme_rate, s3_rate, seconds_for
from settings.catalogue import catalogue

if TYPE_CHECKING:
    from settings.catalogue import GpuInstance
    from settings.workers import WorkerPool

EBS_SOURCE = "EC2 DescribeInstanceTypes and the volume's settings"


class LoadPath(StrEnum):
    """How the weights come to the GPU."""

    BAKED_COLD = "baked volume, read on first use"
    BAKED_INITIALIZED = "baked volume, initialization rate"
    WARM_POOL = "warm pool"
    S3 = "streamed from S3"
    INSTANCE_STORE = "instance store, filled from S3"


@dataclass(frozen=True)
class ModelSize:
    """What a boot has to know of a model. Weights in bytes as they are on disk, over all GPUs."""

    weight_bytes: int
    layers: int = 64
    is_moe: bool = False
    is_fp8: bool = False


@dataclass(frozen=True)
class Situation:
    """A model on a pool, on one load path."""

    pool: WorkerPool
    model: ModelSize
    path: LoadPath

    @property
    def instance(self) -> GpuInstance:
        """The pool's instance type."""
        return catalogue().instances[self.pool.instance_type]

    @property
    def gpus(self) -> int:
        """GPUs that one engine spreads the model over."""
        return self.pool.engine.integer("tp_size", 1) * self.pool.engine.integer("pp_size", 1)

    @property
    def reads_in_parallel(self) -> bool:
        """Whether the engine reads its files with several readers (SGLang's own arguments for it)."""
        engine = self.pool.engine
        if engine.get("weight_loader_prefetch_checkpoints"):
            return True
        return "enable_multithread_load" in str(engine.get("model_loader_extra_config") or "")


def root_step(now: Situation) -> Step:
    """The system's and the engine's files: on a new volume lazily, since the root volume has no initialization rate."""
    size = known.ENGINE_ROOT_GIB.value * GIB
    if now.path is LoadPath.WARM_POOL:
        rate = ebs_rate(now.instance, size, now.pool.volume.throughput_mib)
        return Step(
            f"{known.ENGINE_ROOT_GIB.value:g} GiB of the root volume again", seconds_for(size, rate), EBS_SOURCE
        )
    source = f"{known.LAZY_RATE.source}; size: {known.ENGINE_ROOT_GIB.source}"
    rate = known.LAZY_RATE.value
    return Step(f"{known.ENGINE_ROOT_GIB.value:g} GiB of the new root volume", seconds_for(size, rate), source)


def weight_step(now: Situation, elapsed: float) -> Step:
    """The weights; `elapsed` seconds have gone by since the host started, in which a volume was read ahead."""
    match now.path:
        case LoadPath.BAKED_COLD:
            rate = min(known.LAZY_RATE.value, _from_volume(now)[0])
            return _read(now, rate, f"new volume at {rate:g} MB/s", known.LAZY_RATE.source)
        case LoadPath.BAKED_INITIALIZED:
            return _initialized(now, elapsed)
        case LoadPath.WARM_POOL:
            rate, source = _from_volume(now)
            return _read(now, rate, f"volume at {rate:.0f} MB/s", source)
        case LoadPath.S3:
            rate = s3_rate(now.instance)
            return _read(now, rate, f"S3 at {rate:.0f} MB/s", f"{known.S3_SHARE.source}; {known.S3_HOST_RATE.source}")
        case LoadPath.INSTANCE_STORE:
            return _through_instance_store(now)


def _read(now: Situation, rate_mb: float, where: str, source: str) -> Step:
    size = now.model.weight_bytes
    return Step(f"{size / GIB:.1f} GiB of weights, {where}", seconds_for(size, rate_mb), source)


def _from_volume(now: Situation) -> tuple[float, str]:
    """Rate in MB/s from the volume with the weights once it is read, and what sets it."""
    volume = now.pool.model_volume if now.pool.model_volume.enabled else now.pool.volume
    rate = ebs_rate(now.instance, now.model.weight_bytes, volume.throughput_mib)
    loader = known.MAPPED_EBS_RATE.value
    if now.reads_in_parallel or rate <= loader:
        return rate, EBS_SOURCE
    return loader, known.MAPPED_EBS_RATE.source


def _initialized(now: Situation, elapsed: float) -> Step:
    """EBS reads the whole volume ahead from its creation; the engine waits for what it wants and is not there yet."""
    rate_mib = now.pool.model_volume.initialization_rate_mib
    size = now.model.weight_bytes
    ahead = size / (rate_mib * MIB) - elapsed
    own, source = _from_volume(now)
    reading = seconds_for(size, own)
    if reading >= ahead:
        return _read(now, own, f"volume read ahead at {rate_mib} MiB/s, loader at {own:.0f} MB/s", source)
    what = f"{size / GIB:.1f} GiB of weights, read ahead at {rate_mib} MiB/s ({mib_to_mb(rate_mib):.0f} MB/s)"
    return Step(what, ahead, "workers.model_volume.initialization_rate_mib (EBS user guide, initialize volumes)")


def _through_instance_store(now: Situation) -> Step:
    """A new host's instance store is empty: written from S3, then read by a parallel loader."""
    disks = nvme_rate(now.instance)
    write = min(s3_rate(now.instance), disks * known.NVME_WRITE_SHARE.value)
    size = now.model.weight_bytes
    seconds = seconds_for(size, write) + seconds_for(size, disks * known.NVME_SHARE.value)
    what = f"{size / GIB:.1f} GiB of weights, S3 to instance store at {write:.0f} MB/s, then read at {disks:.0f} MB/s"
    return Step(what, seconds, f"{known.S3_SHARE.source}; {known.NVME_RATE.source}; {known.NVME_SHARE.source}")
