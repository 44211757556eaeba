"""A machine image of this account as EC2 describes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from settings.naming import (
    TAG_IMAGE_ARCHITECTURE,
    TAG_IMAGE_ENGINE,
    TAG_IMAGE_KEY,
    TAG_IMAGE_MODEL,
    TAG_IMAGE_MODEL_REVISION,
    TAG_IMAGE_ROLE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2.type_defs import ImageTypeDef

AVAILABLE: Final = "available"


@dataclass(frozen=True)
class ImageVolume:
    """A snapshot that an image's hosts get a volume from."""

    device: str
    snapshot_id: str
    size_gib: int


@dataclass(frozen=True)
class Image:
    """One image. `created` is None while EC2 does not say."""

    image_id: str
    name: str
    state: str
    architecture: str
    created: datetime | None
    tags: Mapping[str, str]
    volumes: tuple[ImageVolume, ...]
    root_device: str = ""

    @property
    def is_available(self) -> bool:
        """Whether hosts can start from it."""
        return self.state == AVAILABLE

    @property
    def role(self) -> str:
        """Router or worker; empty for an image that no bake made."""
        return self.tags.get(TAG_IMAGE_ROLE, "")

    @property
    def key(self) -> str:
        """Content key."""
        return self.tags.get(TAG_IMAGE_KEY, "")

    @property
    def baked_architecture(self) -> str:
        """What the bake said; EC2's own word when it said nothing."""
        return self.tags.get(TAG_IMAGE_ARCHITECTURE, self.architecture)

    @property
    def model(self) -> str:
        """Model id, or empty."""
        return self.tags.get(TAG_IMAGE_MODEL, "")

    @property
    def revision(self) -> str:
        """Commit of the model, or empty."""
        return self.tags.get(TAG_IMAGE_MODEL_REVISION, "")

    @property
    def engine(self) -> str:
        """SGLang release, or empty."""
        return self.tags.get(TAG_IMAGE_ENGINE, "")

    @property
    def size_gib(self) -> int:
        """Sizes of all its volumes."""
        return sum(volume.size_gib for volume in self.volumes)


def image_of(told: ImageTypeDef) -> Image:
    """Read EC2's description."""
    tags = {tag["Key"]: tag["Value"] for tag in told.get("Tags", ())}
    mappings = (
        (mapping.get("DeviceName", ""), mapping.get("Ebs", {})) for mapping in told.get("BlockDeviceMappings", ())
    )
    volumes = (
        ImageVolume(device, ebs.get("SnapshotId", ""), ebs.get("VolumeSize", 0))
        for device, ebs in mappings
        if ebs.get("SnapshotId")
    )
    created = told.get("CreationDate")
    return Image(
        image_id=told["ImageId"],
        name=told.get("Name", ""),
        state=told.get("State", ""),
        architecture=told.get("Architecture", ""),
        created=datetime.fromisoformat(created) if created else None,
        tags=MappingProxyType(tags),
        volumes=tuple(volumes),
        root_device=told.get("RootDeviceName", ""),
    )
