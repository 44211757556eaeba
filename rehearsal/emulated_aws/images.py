"""Machine images as EC2 makes and reports them: a snapshot of every volume, tags on both, `pending` until it is done.

What moto 5.2.5 does instead: an image has one snapshot of 15 GiB whatever its instance has, no tags can be given for
snapshots, and it is available at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.instances import Instance

from rehearsal.emulated_aws.extension import extend
from rehearsal.places import ACCOUNT_ID

PENDING, AVAILABLE, FAILED = "pending", "available", "failed"


class NameInUseError(EC2ClientError):
    """The account has an image of this name (API_CreateImage.html, Name)."""

    def __init__(self, name: str, image: str) -> None:
        super().__init__("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image}")


@dataclass(frozen=True)
class Disk:
    """A volume that an image describes."""

    device: str
    gib: int
    volume_type: str = "gp3"
    encrypted: bool = False


@dataclass
class Images:
    """Images whose content is to be taken or dropped. Whoever holds the machines does that."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wanted: dict[str, str] = field(default_factory=dict)
    _dropped: list[str] = field(default_factory=list)

    def want(self, image: str, instance: str) -> None:
        """An image is to be made of an instance."""
        with self._lock:
            self._wanted[image] = instance

    def drop(self, image: str) -> None:
        """An image is gone."""
        with self._lock:
            self._wanted.pop(image, None)
            self._dropped.append(image)

    def take_wanted(self) -> dict[str, str]:
        """Image to make → instance, each once."""
        with self._lock:
            wanted, self._wanted = self._wanted, {}
            return wanted

    def take_dropped(self) -> list[str]:
        """Images whose content nobody needs any more, each once."""
        with self._lock:
            dropped, self._dropped = self._dropped, []
            return dropped


IMAGES = Images()


def describe_disks(ami: Ami, disks: list[Disk], description: str) -> None:
    """Give an image these disks, each with a snapshot, in place of moto's one."""
    backend = ami.ec2_backend
    backend.snapshots.pop(ami.ebs_snapshot.id, None)
    mappings = []
    for disk in disks:
        zone, kind = f"{backend.region_name}a", disk.volume_type
        volume = backend.create_volume(size=disk.gib, zone_name=zone, volume_type=kind, encrypted=disk.encrypted)
        snapshot = backend.create_snapshot(volume.id, description, ami.owner_id, from_ami=ami.id)
        backend.delete_volume(volume.id)
        block = {"SnapshotId": snapshot.id, "VolumeSize": disk.gib, "VolumeType": kind, "Encrypted": disk.encrypted}
        mappings.append({"DeviceName": disk.device, "Ebs": {**block, "DeleteOnTermination": True}})
        if disk.device == ami.root_device_name:
            ami.ebs_snapshot = snapshot
    setattr(ami, "rehearsal_mappings", mappings)  # noqa: B010 - moto's class does not declare it


def disks_of(ami: Ami) -> list[dict[str, Any]]:
    """What an image says of its volumes; nothing for one of moto's own public images."""
    described: list[dict[str, Any]] = getattr(ami, "rehearsal_mappings", [])
    return described


def _mappings(self: Ami) -> list[dict[str, Any]]:
    return disks_of(self) or _moto_mappings(self)


def _disks(instance: Instance) -> list[Disk]:
    attached = instance.get_block_device_mapping
    volumes = [(device, instance.ec2_backend.get_volume(block.volume_id)) for device, block in attached]
    return [Disk(device, int(volume.size), volume.volume_type, bool(volume.encrypted)) for device, volume in volumes]


def _tags(specifications: list[dict[str, Any]], kind: str) -> dict[str, str]:
    chosen = [item for item in specifications if item["ResourceType"] == kind]
    return {tag["Key"]: tag["Value"] for item in chosen for tag in item["Tags"]}


def _create_image(
    self: AmiBackend, instance_id: str, name: str, description: str, tag_specifications: list[dict[str, Any]]
) -> Ami:
    for known in list(self.amis.values()):
        if known.name == name and known.owner_id == self.account_id:  # type: ignore[attr-defined]
            raise NameInUseError(name, known.id)
    ami = _moto_create_image(self, instance_id, name, description, [])
    ami.state, ami.root_device_type, ami.virtualization_type = PENDING, "ebs", "hvm"
    # The words are EC2's: what is left of an interrupted bake is found by them.
    describe_disks(ami, _disks(ami.instance), f"Created by CreateImage({instance_id}) for {ami.id}")
    ami.add_tags(_tags(tag_specifications, "image"))
    for snapshot in snapshots(ami):
        snapshot.add_tags(_tags(tag_specifications, "snapshot"))
    IMAGES.want(ami.id, instance_id)
    return ami


def snapshots(ami: Ami) -> list[Any]:
    """An image's snapshots, as moto holds them."""
    return [ami.ec2_backend.snapshots[mapping["Ebs"]["SnapshotId"]] for mapping in ami.block_device_mappings]


def set_image_state(region: str, image: str, state: str) -> None:
    """Say that an image has been made, or could not be."""
    ami = ec2_backends[ACCOUNT_ID][region].amis.get(image)
    if ami is not None:
        ami.state = state


def _deregister_image(self: AmiBackend, ami_id: str) -> None:
    _moto_deregister_image(self, ami_id)
    IMAGES.drop(ami_id)


_moto_mappings = Ami.block_device_mappings.fget  # type: ignore[attr-defined]
_moto_create_image = AmiBackend.create_image
_moto_deregister_image = AmiBackend.deregister_image


def install() -> None:
    """Put EC2's images in place of moto's."""
    extend(Ami, "block_device_mappings", property(_mappings))
    extend(AmiBackend, "create_image", _create_image)
    extend(AmiBackend, "deregister_image", _deregister_image)
