"""The baked images of a region with the size and the price of their snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from settings.naming import TAG_IMAGE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_ec2.type_defs import FilterTypeDef, SnapshotTypeDef

    from packer.account import Account
    from packer.image import Image

# EBS pricing page, snapshots, standard tier, us-east-1. Charged is what is stored: blocks that an earlier snapshot of
# the same volume holds are not stored again, and empty ones never; the full size is therefore an upper bound.
USD_PER_GIB_MONTH: Final = 0.05
GIB: Final = 1024**3
COMPLETED: Final = "completed"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that a bake made. `stored_gib` is its full size, or its volume's where EC2 does not tell."""

    snapshot_id: str
    state: str
    volume_gib: int
    stored_gib: float


@dataclass(frozen=True)
class Inventory:
    """Baked images, newest first, all snapshots that bakes made, by id, and those of them that an image needs."""

    images: tuple[Image, ...]
    snapshots: Mapping[str, Snapshot]
    needed: frozenset[str]

    def stored_gib(self, image: Image) -> float:
        """Full size of an image's snapshots."""
        sizes = ((self.snapshots.get(volume.snapshot_id), volume.size_gib) for volume in image.volumes)
        return sum(snapshot.stored_gib if snapshot else size for snapshot, size in sizes)

    def usd_per_month(self, image: Image) -> float:
        """What its snapshots cost at most."""
        return self.stored_gib(image) * USD_PER_GIB_MONTH

    @property
    def orphans(self) -> tuple[Snapshot, ...]:
        """Snapshots of bakes that no image needs: what an interrupted prune left."""
        done = (one for one in self.snapshots.values() if one.state == COMPLETED)
        return tuple(one for one in done if one.snapshot_id not in self.needed)


def read_inventory(account: Account) -> Inventory:
    """Everything in the region that carries the tags of a bake."""
    filters: list[FilterTypeDef] = [{"Name": "tag-key", "Values": [TAG_IMAGE_KEY]}]
    pages = account.ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
    snapshots = {told["SnapshotId"]: _snapshot(told) for page in pages for told in page["Snapshots"]}
    # All images, not only those with tags, and after the snapshots: one that a bake makes just now must not seem to
    # have left its snapshots behind.
    images = account.own_images([])
    needed = frozenset(volume.snapshot_id for image in images for volume in image.volumes)
    baked = (image for image in images if image.key and image.role)
    return Inventory(newest_first(baked), snapshots, needed)


def newest_first(images: Iterable[Image]) -> tuple[Image, ...]:
    """Images by age; one without a date counts as made just now."""
    return tuple(sorted(images, key=lambda image: (image.created is None, image.created, image.image_id), reverse=True))


def _snapshot(told: SnapshotTypeDef) -> Snapshot:
    full = told.get("FullSnapshotSizeInBytes")
    volume = told.get("VolumeSize", 0)
    return Snapshot(told["SnapshotId"], told.get("State", ""), volume, full / GIB if full else float(volume))
