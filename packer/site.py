"""Where a bake happens: by default the real cloud and the public model hub.

A rehearsal, or a network with a mirror of its own, gives other values in a JSON file (`SGLANG_FLEET_BAKE_SITE`). The
keys are this model's; every one may be left out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from settings.errors import ABSENT, Fault, SettingsError, format_path

SITE_VARIABLE: Final = "SGLANG_FLEET_BAKE_SITE"

# "Verifying the signature of the CloudWatch agent package", CloudWatch user guide: one key signs all packages.
AGENT_KEY_URL: Final = "https://amazoncloudwatch-agent.s3.amazonaws.com/assets/amazon-cloudwatch-agent.gpg"
AGENT_KEY_FINGERPRINT: Final = "937616F3450B7D806CBD9725D58167303B789C72"

Url = Annotated[str, StringConstraints(pattern=r"^(https?://[^\s]*[^/\s])?$")]
ImageId = Annotated[str, StringConstraints(pattern=r"^ami-[0-9a-f]+$")]
Role = Literal["router", "worker"]


class BakeSite(BaseModel):
    """Addresses and replacements of one place; nothing here is part of a deployment's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint_ec2: Url = Field(default="", description="EC2 API that Packer talks to; empty: AWS of the region.")
    base_images: dict[Role, ImageId] = Field(
        default={}, description="Base image by role, in place of the settings and of Ubuntu's and AWS's SSM parameters."
    )
    ssh_username: str = Field(default="ubuntu", description="User that Packer logs in as; may use sudo.")
    ssh_port: int = Field(default=22, ge=1, le=65535, description="Port of the bake host's SSH server.")
    ssh_interface: Literal["public_ip", "private_ip"] | None = Field(
        default=None, description="Address of the bake host that Packer connects to; none: as the settings say."
    )
    ssh_cidrs: tuple[str, ...] | None = Field(
        default=None,
        description="Blocks that the temporary security group lets in; none: as the settings say, and without "
        "settings the public address of this computer, asked from checkip.amazonaws.com.",
    )
    hub_url: Url = Field(
        default="", description="Model hub, for this computer and the bake host; empty: as the settings say."
    )
    cloudwatch_agent_url: Url = Field(
        default="", description="Folder with amazon-cloudwatch-agent.deb and its .sig; empty: AWS's of the region."
    )
    cloudwatch_agent_key_url: Url = Field(default=AGENT_KEY_URL, description="Key that signed the package.")
    cloudwatch_agent_key_fingerprint: str = Field(
        default=AGENT_KEY_FINGERPRINT, pattern=r"^[0-9A-F]{40}$", description="Fingerprint that this key must have."
    )
    model_device: str = Field(
        default="/dev/sdf",
        pattern=r"^(none|/dev/[a-z0-9/]+)$",
        description='Device of the model volume; "none": no volume is asked for, the folder itself takes the model.',
    )
    gpu_driver_check: bool = Field(default=True, description="Whether the base image must hold NVIDIA's driver.")
    engine_install: str = Field(
        default="lock",
        pattern=r"^(lock|/.+)$",
        description='"lock": the engine of the lock file; a folder on the bake host: what stands for it.',
    )
    environment: dict[str, str] = Field(
        default={}, description="Further variables of every provision script, such as PIP_INDEX_URL of a mirror."
    )
    poll_seconds: int = Field(default=15, ge=1, le=60, description="Time between two looks of Packer at EC2.")
    bake_folder: Path | None = Field(
        default=None, description="Folder for logs, manifests and SBOMs; none: .bake in the checkout."
    )
    interrupt_seconds: float = Field(
        default=180, gt=0, description="Time that an interrupted Packer gets to clean up before it is killed."
    )
    sweep_seconds: float = Field(
        default=600, gt=0, description="Time that what is left of a failed bake gets to disappear once deleted."
    )

    def agent_url(self, region: str, architecture: str) -> str:
        """Folder of the CloudWatch agent's package for one region and architecture."""
        if self.cloudwatch_agent_url:
            return self.cloudwatch_agent_url
        # "Download and configure the CloudWatch agent", CloudWatch user guide: the regional bucket's address.
        machine = {"x86_64": "amd64"}.get(architecture, architecture)
        return f"https://amazoncloudwatch-agent-{region}.s3.{region}.amazonaws.com/ubuntu/{machine}/latest"


def load_site(file: Path | None) -> BakeSite:
    """Read a site's file; without one, the real cloud.

    Raises:
        SettingsError: it cannot be read, or holds what it must not.
    """
    if file is None:
        return BakeSite()
    try:
        return BakeSite.model_validate_json(file.read_bytes())
    except OSError as error:
        raise SettingsError([Fault(SITE_VARIABLE, str(file), f"cannot be read: {error.strerror}", _REMEDY)]) from None
    except ValidationError as error:
        faults = [
            Fault(f"{file}: {format_path(item['loc'])}" if item["loc"] else f"{file}", ABSENT, item["msg"], _REMEDY)
            for item in error.errors()
        ]
        raise SettingsError(faults) from None


_REMEDY: Final = "name a JSON file with the keys of packer/site.py, or unset the variable"


def emulated_endpoint(environ: os._Environ[str] | dict[str, str]) -> str:
    """The EC2 endpoint that boto3 was told of: Packer must never talk to another account than the rest of a bake."""
    return environ.get("AWS_ENDPOINT_URL_EC2") or environ.get("AWS_ENDPOINT_URL") or ""
