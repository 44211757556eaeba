"""How `fleet bake` makes the images: on which host, from which image, and where models come from."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from settings.base import Cidr, InstanceType, Section
from settings.catalogue import Architecture
from settings.router import ParameterName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.workers import ModelVolumeSettings

Role = Literal["router", "worker"]  # the values of naming.TAG_IMAGE_ROLE
SubnetId = Annotated[
    str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$"), Field(examples=["subnet-0abcdef1234567890"])
]
HubUrl = Annotated[
    str,
    # Plain HTTP only to this computer itself: what a hub says is what the files are checked against.
    StringConstraints(pattern=r"^(https://[^\s/@]+|http://(127(\.\d{1,3}){3}|localhost)(:\d+)?)(/[^\s/]+)*$"),
    Field(json_schema_extra={"x-form": "begin with https:// and end without a slash"}),
]

# Public parameters that name the newest image in each region. Router: https://documentation.ubuntu.com/aws/aws-how-to/
# instances/find-ubuntu-images/; workers: AWS's Deep Learning Base AMI, which comes with NVIDIA's driver.
_BASE_PARAMETERS: Mapping[tuple[Role, Architecture], str] = MappingProxyType(
    {
        ("router", "x86_64"): "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
        ("router", "arm64"): "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id",
        ("worker", "x86_64"): (
            "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
        ),
        ("worker", "arm64"): (
            "/aws/service/deeplearning/ami/arm64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
        ),
    }
)
# No GPU is needed to install an engine; four times the processors and 16 GiB unpack its wheels and hash the model.
_INSTANCE_TYPES: Mapping[Architecture, str] = MappingProxyType({"x86_64": "c7i.2xlarge", "arm64": "c7g.2xlarge"})

_GIB = 1024**3
# An ext4 file system gives about 2 % to its own tables and may keep 5 % for the superuser; the validation of an image
# wants a tenth free.
_ROOM = 1.2
_SMALLEST_GIB = 8
_IOPS_PER_GIB = 500  # gp3, EBS user guide


class BakeSettings(Section):
    """How images are baked. Nothing here changes a deployment that has its images."""

    subnet_id: SubnetId | None = Field(
        default=None, description="Subnet of the temporary host; default: one of the default VPC."
    )
    ssh_interface: Literal["public_ip", "private_ip"] = Field(
        default="public_ip", description="Address under which the temporary host is reached over SSH."
    )
    ssh_cidrs: tuple[Cidr, ...] = Field(
        default=(),
        description="Address blocks that may reach the temporary host's SSH; default: this computer's public address.",
    )
    router_instance_type: InstanceType | None = Field(
        default=None, description="Type of the host that bakes the router's image. Default: c7i.2xlarge or c7g.2xlarge."
    )
    worker_instance_type: InstanceType | None = Field(
        default=None,
        description="Type of the host that bakes workers' images, without GPU. Default: as for the router.",
    )
    router_base_parameter: ParameterName | None = Field(
        default=None,
        description="SSM parameter with the image that the router's is made from. Default: Canonical's Ubuntu 24.04.",
        examples=["/my-company/images/router-base"],
    )
    worker_base_parameter: ParameterName | None = Field(
        default=None,
        description="SSM parameter with the image that workers' are made from. Default: AWS's Deep Learning Base AMI.",
        examples=["/my-company/images/worker-base"],
    )
    hub_url: HubUrl = Field(default="https://huggingface.co", description="Model hub that models are taken from.")
    hub_token_parameter: ParameterName | None = Field(
        default=None,
        description="SSM SecureString with a Hugging Face token, read while a bake runs; only for gated models.",
        examples=["/sglang-fleet/hub-token"],
    )

    def instance_type(self, role: Role, architecture: Architecture) -> str:
        """Type of the temporary host that bakes an image."""
        given = self.router_instance_type if role == "router" else self.worker_instance_type
        return given or _INSTANCE_TYPES[architecture]

    def base_parameter(self, role: Role, architecture: Architecture) -> str:
        """SSM parameter that names the image to start from."""
        given = self.router_base_parameter if role == "router" else self.worker_base_parameter
        return given or _BASE_PARAMETERS[role, architecture]


def model_volume_gib(volume: ModelVolumeSettings, model_bytes: int) -> int:
    """Size of the volume for a model: the size set, or what holds the model and allows the volume's rate."""
    if volume.size_gib is not None:
        return volume.size_gib
    return least_volume_gib(volume.iops, model_bytes)


def least_volume_gib(iops: int, model_bytes: int) -> int:
    """Smallest size in GiB that holds a model of so many bytes with room, and may have so many IOPS."""
    return max(_SMALLEST_GIB, math.ceil(model_bytes * _ROOM / _GIB), math.ceil(iops / _IOPS_PER_GIB))
