"""Settings of one pool of workers: an Auto Scaling group of equal GPU hosts serving one model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from settings.base import InstanceType, Name, Port, Section
from settings.engine_arguments import EngineArguments
from settings.router import ImageSettings, VolumeSettings
from settings.scaling import ScalingSettings

ModelId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$")]
Revision = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{40}$"),
    Field(examples=["0123456789abcdef0123456789abcdef01234567"], json_schema_extra={"x-form": "give a full commit id"}),
]
Percent = Annotated[int, Field(ge=0, le=100)]
HeartbeatSeconds = Annotated[int, Field(ge=30, le=7200)]  # EC2 Auto Scaling API, PutLifecycleHook


class WorkerVolumeSettings(VolumeSettings):
    """A worker's root volume: operating system, engine and caches."""

    # The base image's four CUDA toolkits take some 10 GB each (https://github.com/guardian/amigo/pull/1828), the
    # engine's environment some 15 GB.
    size_gib: Annotated[int, Field(ge=8, le=16384)] = Field(default=100, description="Size in GiB.")
    throughput_mib: Annotated[int, Field(ge=125, le=1000)] = Field(
        default=500, description="Provisioned throughput, MiB/s."
    )


class ModelVolumeSettings(Section):
    """The volume with the weights, from a snapshot of its own: gp3, encrypted, read-only on the host."""

    enabled: bool = Field(
        default=True, description="False for an own image (image.ami) that has its model on the root volume."
    )
    size_gib: Annotated[int, Field(ge=8, le=16384)] | None = Field(
        default=None, description="Size in GiB; default: chosen by the bake from the size of the model's files."
    )
    iops: Annotated[int, Field(ge=3000, le=16000)] = Field(
        default=4000, description="Provisioned operations per second."
    )
    # Provider 5.100.0 rejects more than 1000 in a launch template although EC2 allows 2000.
    throughput_mib: Annotated[int, Field(ge=125, le=1000)] = Field(
        default=1000, description="Provisioned throughput, MiB/s."
    )
    # Charged by the size of the snapshot and the rate, once per volume made: 0.0036 USD per GiB at 300 MiB/s. Without
    # one a new volume gives 25 MB/s at most (aws-samples/bottlerocket-images-cache, issue 13): the GPU waits for 12
    # minutes while 18 GiB are read, which costs more.
    initialization_rate_mib: Annotated[int, Field(ge=100, le=300)] = Field(
        default=300,
        description="Rate in MiB/s at which the weights are read from the snapshot ahead of use (charged).",
    )


class WarmPoolSettings(Section):
    """Hosts that have booted once and are stopped: their volume is read and the compile cache is filled."""

    enabled: bool = Field(default=False, description="Keep a warm pool.")
    min_size: Annotated[int, Field(ge=0)] = Field(default=0, description="Hosts kept in the pool at least.")
    max_prepared: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="In service plus warm at most; default: the pool's max_size."
    )
    # Every GPU type reports HibernationSupported=false (DescribeInstanceTypes), so Hibernated is not offered.
    state: Literal["stopped", "running"] = Field(default="stopped", description="State of a host while it waits.")
    reuse_on_scale_in: bool = Field(default=False, description="Return hosts to the warm pool on scale-in.")


class SpotSettings(Section):
    """Spot capacity; interruptions are announced two minutes ahead."""

    enabled: bool = Field(default=False, description="Buy spot capacity above the on-demand base.")
    on_demand_base: Annotated[int, Field(ge=0)] = Field(default=0, description="Hosts that are always on-demand.")
    on_demand_percentage: Percent = Field(default=0, description="Share of on-demand above the base, in percent.")
    other_instance_types: tuple[InstanceType, ...] = Field(
        default=(), description="Further types that can hold the model; more types mean fewer interruptions."
    )


class LifecycleSettings(Section):
    """Time limits in the life of a worker."""

    ready_timeout_seconds: HeartbeatSeconds = Field(
        default=1800, description="A host that does not answer a real generation within this time leaves the group."
    )
    drain_timeout_seconds: HeartbeatSeconds = Field(
        default=600,
        description="One heartbeat of the terminating hook; while it is renewed, requests in flight may finish.",
    )
    min_healthy_percent: Percent = Field(
        default=100, description="Share of the pool that stays in service while hosts are replaced, in percent."
    )


class WorkerPool(Section):
    """One `[[workers]]` entry."""

    name: Name = Field(default="default", description="Name of the pool, part of every resource's name.")
    instance_type: InstanceType = Field(default="g6e.xlarge", description="GPU instance type.")
    model_id: ModelId = Field(
        default="Valdemardi/DeepSeek-R1-Distill-Qwen-32B-AWQ", description="Hugging Face model id."
    )
    model_revision: Revision | None = Field(
        default=None, description="Commit of the model's repository; a bake pins the newest when none is given."
    )
    served_model_name: str | None = Field(default=None, description="Name clients send as `model`; default: model_id.")
    min_size: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1,
        description="Workers at least; 0 lets the pool become empty (see docs/scaling.md for what clients then see).",
    )
    max_size: Annotated[int, Field(ge=1, le=1000)] = Field(default=4, description="Workers at most.")
    desired_size: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="Workers at the first apply; later the scaling policy decides. Default: min_size."
    )
    port: Port = Field(default=30000, description="Port of the engine, reachable from the router only.")
    image: ImageSettings = Field(default=ImageSettings(), description="Machine image of the workers.")
    volume: WorkerVolumeSettings = Field(
        default=WorkerVolumeSettings(), description="Root volume with engine and caches."
    )
    model_volume: ModelVolumeSettings = Field(default=ModelVolumeSettings(), description="Volume with the weights.")
    warm_pool: WarmPoolSettings = Field(default=WarmPoolSettings(), description="Warm pool.")
    spot: SpotSettings = Field(default=SpotSettings(), description="Spot capacity.")
    scaling: ScalingSettings = Field(default=ScalingSettings(), description="Scaling.")
    lifecycle: LifecycleSettings = Field(default=LifecycleSettings(), description="Time limits.")
    engine: EngineArguments = Field(
        default=EngineArguments(), description="SGLang server arguments under their own names with underscores."
    )

    @property
    def served_name(self) -> str:
        """The name under which clients ask for this pool's model."""
        return self.served_model_name or self.model_id

    @property
    def initial_size(self) -> int:
        """Workers at the first apply."""
        return self.min_size if self.desired_size is None else self.desired_size
