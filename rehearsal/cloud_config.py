"""What the emulated cloud is asked to hold: written by `fleet rehearse`, read by `python -m rehearsal.cloud`."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from rehearsal.engine.config import ConfigError, EmulatorConfig, build

Role = Literal["router", "worker"]
MODEL_DEVICE = "/dev/sdf"
"""Of the volume with the model, as packer's template attaches it and the launch template maps it."""
EngineKind = Literal["emulator", "sglang"]
EmulatorValue = float | str | bool | dict[str, float] | None


def _known(settings: dict[str, EmulatorValue]) -> dict[str, EmulatorValue]:
    """Refuse what the emulator would refuse at its start, when nobody looks."""
    TypeAdapter(EmulatorConfig).validate_python(settings)
    try:
        build(dict(settings))
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return settings


EmulatorSettings = Annotated[dict[str, EmulatorValue], AfterValidator(_known)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageConfig(_Model):
    """A machine image, as `fleet bake` would leave it."""

    role: Role
    architecture: Literal["x86_64", "arm64"]
    parameter: str | None = Field(default=None, description="SSM parameter that records the image id.")
    ami: str | None = Field(default=None, description="Image id, when the settings name one.")
    model: str | None = Field(default=None, description="Folder name of the model on a worker's image.")
    tags: dict[str, str] = Field(default={}, description="What a bake says of it.")


class EngineConfig(_Model):
    """Which engine the worker images carry."""

    kind: EngineKind = "emulator"
    program: Path | None = Field(default=None, description="The real engine's `sglang` program.")
    model: Path | None = Field(default=None, description="The real engine's model folder.")
    emulator: EmulatorSettings = Field(default={}, description="Fields of `EmulatorConfig`; the ledger is set anyway.")
    broken: str | None = Field(default=None, description="Last words of an engine that ends at once with status 1.")


class HubModel(_Model):
    """A model that the hub of a rehearsal holds."""

    id: str
    folder: Path
    gated: bool = False


class HubConfig(_Model):
    """The model hub of a rehearsal, which also hands out packages."""

    port: int
    models: tuple[HubModel, ...] = ()
    token: str = Field(description="The one token that it knows.")
    packages: Path


class BaseImageConfig(_Model):
    """A public image that bakes start from."""

    role: Literal["base"] = "base"
    architecture: Literal["x86_64", "arm64"]
    parameter: str = Field(description="Public SSM parameter that names it.")


class BuildConfig(_Model):
    """Hosts that images are baked on."""

    block: IPv4Network = Field(description="The one subnet of their VPC, at loopback addresses.")
    port: int = Field(description="Where they answer SSH.")
    user: str = "ubuntu"
    environment: dict[str, str] = Field(default={}, description="Variables of every SSH session.")
    read_only: dict[str, str] = Field(default={}, description="What they see of this computer: path there → here.")
    bases: tuple[BaseImageConfig, ...] = ()
    hub: HubConfig | None = None
    token_parameter: str | None = Field(default=None, description="SSM SecureString to hold the hub's token.")


class CloudConfig(_Model):
    """Region, images and the environments that machines get."""

    region: str
    images: tuple[ImageConfig, ...]
    router_venv: Path = Field(description="Virtual environment of the router host (smg, boto3, pydantic, httpx).")
    agent_venv: Path = Field(description="Virtual environment of a worker's agent (boto3, pydantic, httpx).")
    engine: EngineConfig = EngineConfig()
    build: BuildConfig | None = Field(default=None, description="What a bake needs; none is played without it.")
