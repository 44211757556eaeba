"""The values of the template's variables for one build: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packer.targets import conditions
from settings.naming import TAG_BAKE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packer.site import BakeSite
    from packer.targets import Target
    from settings.model import Settings

BAKE_DIRECTORY: Final = "/tmp/sglang-fleet-bake"  # noqa: S108 - on the bake host, which has no other user
KEY_IN_NAME: Final = 12


@dataclass(frozen=True)
class Build:
    """One run of Packer: its id, the image's name, and its folders on this computer."""

    bake_id: str
    image_name: str
    staging: Path
    output: Path
    token_file: Path | None = None


def image_name(target: Target, moment: str) -> str:
    """Name of an image: unique through the moment, since a bake may be forced to repeat."""
    return f"sglang-fleet-{target.recipe.role}-{target.recipe.architecture}-{target.key[:KEY_IN_NAME]}-{moment}"


def key_pair_name(bake_id: str) -> str:
    """Name that the template gives to the temporary key pair, which old Packers cannot tag."""
    return f"sglang-fleet-bake-{bake_id}"


def environment_of(settings: Settings, site: BakeSite, target: Target) -> dict[str, str]:
    """Variables of every provision script."""
    recipe = target.recipe
    return {
        "DEBIAN_FRONTEND": "noninteractive",
        **site.environment,
        **conditions(site, recipe.role),
        "BAKE_DIR": BAKE_DIRECTORY,
        "BAKE_ROLE": recipe.role,
        "BAKE_ARCHITECTURE": recipe.architecture,
        "CLOUDWATCH_AGENT_URL": site.agent_url(settings.region, recipe.architecture),
        "CLOUDWATCH_AGENT_KEY_URL": site.cloudwatch_agent_key_url,
        "HF_ENDPOINT": site.hub_url or settings.bake.hub_url,
    }


def variables_of(
    settings: Settings, site: BakeSite, target: Target, build: Build, cidrs: Sequence[str]
) -> Mapping[str, object]:
    """What Packer's var-file holds. Never a secret: only the path of the file with the token."""
    recipe = target.recipe
    return {
        "region": settings.region,
        "role": recipe.role,
        "architecture": recipe.architecture,
        "ami_name": build.image_name,
        "base_image": recipe.base_image,
        "instance_type": target.instance_type,
        "subnet_id": settings.bake.subnet_id or "",
        "ssh_interface": site.ssh_interface or settings.bake.ssh_interface,
        "ssh_username": site.ssh_username,
        "ssh_port": site.ssh_port,
        "ssh_cidrs": list(cidrs),
        "root_volume_gib": recipe.root_gib,
        "model_volume_gib": recipe.model_gib,
        "tags": {**settings.tags, **target.tags, "Name": build.image_name},
        "run_tags": {**settings.tags, TAG_BAKE: build.bake_id, "Name": f"bake {build.image_name}"},
        "environment": environment_of(settings, site, target),
        "staging": str(build.staging),
        "token_file": str(build.token_file or ""),
        "output": str(build.output),
        "endpoint_ec2": site.endpoint_ec2,
        "poll_seconds": site.poll_seconds,
    }
