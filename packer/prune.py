"""Which images to delete: a pure plan, and the careful application of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2 import EC2Client

    from packer.image import Image
    from packer.inventory import Inventory

_BEING_MADE: Final = frozenset({"pending", "transient"})
# EC2 API, "Error codes": somebody else was faster, or another image needs it.
_ALREADY_GONE: Final = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound"})


@dataclass(frozen=True)
class Verdict:
    """What becomes of one image, and why."""

    image: Image
    delete: bool
    reason: str


@dataclass(frozen=True)
class PrunePlan:
    """A verdict on every image, and snapshots whose image is gone."""

    verdicts: tuple[Verdict, ...]
    orphans: tuple[str, ...]

    @property
    def to_delete(self) -> tuple[Image, ...]:
        """The images to delete."""
        return tuple(verdict.image for verdict in self.verdicts if verdict.delete)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.to_delete and not self.orphans


def plan_prune(inventory: Inventory, uses: Mapping[str, tuple[str, ...]], keep: int) -> PrunePlan:
    """Keep what is in use, and the newest `keep` of each role, architecture and model besides."""
    ranks: Counter[str] = Counter()
    verdicts = []
    for image in inventory.images:
        ranks[_kind(image)] += image.is_available
        verdicts.append(_verdict(image, uses.get(image.image_id, ()), ranks[_kind(image)], keep))
    return PrunePlan(tuple(verdicts), tuple(snapshot.snapshot_id for snapshot in inventory.orphans))


def _kind(image: Image) -> str:
    """What images of one kind can stand in for each other."""
    return " ".join(part for part in (image.role, image.baked_architecture, image.model) if part)


def _verdict(image: Image, users: tuple[str, ...], rank: int, keep: int) -> Verdict:
    if users:
        return Verdict(image, delete=False, reason=f"in use by {', '.join(users)}")
    if image.created is None or image.state in _BEING_MADE:
        return Verdict(image, delete=False, reason=f"being made ({image.state})")
    if not image.is_available:
        return Verdict(image, delete=True, reason=f"no host can start from it ({image.state})")
    if rank <= keep:
        return Verdict(image, delete=False, reason=f"number {rank} of the newest {keep}: {_kind(image)}")
    return Verdict(image, delete=True, reason=f"unused, and number {rank} by age: {_kind(image)}")


@dataclass(frozen=True)
class Pruned:
    """What was deleted, what was spared at the last moment, and what could not be deleted."""

    images: tuple[str, ...]
    snapshots: tuple[str, ...]
    spared: tuple[str, ...]
    problems: tuple[str, ...]


def apply_prune(ec2: EC2Client, plan: PrunePlan, uses: Mapping[str, tuple[str, ...]]) -> Pruned:
    """Delete images, then their snapshots. `uses` was read after the plan was confirmed: who came since is spared.

    An image goes before its snapshots. Interrupted in between, snapshots are left over, which the next prune finds by
    their tags; the other way round an image would be left that no host can start from.
    """
    images: list[str] = []
    snapshots = list(plan.orphans)
    spared: list[str] = []
    problems: list[str] = []
    for image in plan.to_delete:
        if image.image_id in uses:
            spared.append(f"{image.image_id}: meanwhile in use by {', '.join(uses[image.image_id])}")
        elif problem := _deregister(ec2, image.image_id):
            problems.append(problem)
        else:
            images.append(image.image_id)
            snapshots += [volume.snapshot_id for volume in image.volumes]
    failed = {snapshot: problem for snapshot in snapshots if (problem := _delete_snapshot(ec2, snapshot))}
    deleted = tuple(snapshot for snapshot in snapshots if snapshot not in failed)
    return Pruned(tuple(images), deleted, tuple(spared), (*problems, *failed.values()))


def _deregister(ec2: EC2Client, image_id: str) -> str | None:
    try:
        ec2.deregister_image(ImageId=image_id)
    except ClientError as error:
        return _problem(image_id, error)
    return None


def _delete_snapshot(ec2: EC2Client, snapshot_id: str) -> str | None:
    try:
        ec2.delete_snapshot(SnapshotId=snapshot_id)
    except ClientError as error:
        return _problem(snapshot_id, error)
    return None


def _problem(name: str, error: ClientError) -> str | None:
    details = error.response["Error"]
    return None if details["Code"] in _ALREADY_GONE else f"{name}: {details['Code']}: {details['Message']}"
