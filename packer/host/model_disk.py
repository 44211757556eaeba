"""`python3 -m host.model_disk DEVICE`: print the block device that EC2 calls DEVICE, if it is safe to format.

On Nitro instances the volume of /dev/sdf is an NVMe device whose number is left to chance, and which of Ubuntu's images
have the udev rule that links the name is not written down. Prints `format PATH` or `reuse PATH`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .report import Fault, StepError, run_step

PHASE: Final = "model-volume"
LABEL: Final = "sglang-models"
FILE_SYSTEM: Final = "ext4"
# What NVMe devices of EBS volumes call themselves; instance store says "Amazon EC2 NVMe Instance Storage".
EBS_MODEL: Final = "Amazon Elastic Block Store"
COLUMNS: Final = "NAME,PATH,TYPE,FSTYPE,LABEL,MODEL,MOUNTPOINTS"  # without NAME there would be no tree
REMEDY: Final = "bake again; the template attaches an empty volume when model_volume_gib is above 0"


@dataclass(frozen=True)
class Disk:
    """A whole disk. `children` are its partitions, `mounted` tells of them, too."""

    path: str
    model: str
    file_system: str | None
    label: str | None
    children: int
    mounted: bool

    @property
    def is_blank_ebs(self) -> bool:
        """An EBS volume that nothing uses."""
        return self.model == EBS_MODEL and not (self.children or self.mounted or self.file_system)

    @property
    def is_model_volume(self) -> bool:
        """Formatted by an earlier run of this step."""
        return (self.file_system, self.label) == (FILE_SYSTEM, LABEL)


def disks_of(lsblk: str) -> tuple[Disk, ...]:
    """Read `lsblk --json`."""
    devices: list[dict[str, Any]] = json.loads(lsblk)["blockdevices"]
    return tuple(_disk(device) for device in devices if device["type"] == "disk")


def _disk(device: dict[str, Any]) -> Disk:
    children: list[dict[str, Any]] = device.get("children", [])
    mounted = any(any(item.get("mountpoints") or ()) for item in (device, *children))
    model = (device.get("model") or "").strip()
    return Disk(device["path"], model, device["fstype"], device["label"], len(children), mounted)


def names_of(wanted: str) -> tuple[Path, ...]:
    """The name that EC2 was given, and how a kernel with Xen's driver spells it."""
    return Path(wanted), Path(wanted.replace("/dev/sd", "/dev/xvd"))


def choose(wanted: str, disks: tuple[Disk, ...]) -> str:
    """The disk that is meant, and what may be done with it: `format PATH` or `reuse PATH`.

    Raises:
        StepError: it is not there, it cannot be told from another, or it holds something.
    """
    linked = next((str(name.resolve()) for name in names_of(wanted) if name.is_symlink() or name.exists()), None)
    if linked is None:
        disk = _only_candidate(wanted, disks)
    else:
        disk = next((disk for disk in disks if disk.path == linked), None) or _unknown(wanted, linked)
    if disk.is_model_volume:
        return f"reuse {disk.path}"
    if disk.children or disk.mounted or disk.file_system:
        holds = disk.file_system or ("a mounted file system" if disk.mounted else "partitions")
        raise StepError(Fault(f"{wanted} is {disk.path}, which holds {holds} and is not formatted over", REMEDY))
    return f"format {disk.path}"


def _unknown(wanted: str, linked: str) -> Disk:
    raise StepError(Fault(f"{wanted} is {linked}, which is no whole disk", REMEDY))


def _only_candidate(wanted: str, disks: tuple[Disk, ...]) -> Disk:
    candidates = [disk for disk in disks if disk.is_blank_ebs or disk.is_model_volume]
    if len(candidates) == 1:
        return candidates[0]
    seen = ", ".join(f"{disk.path} ({disk.model or 'no model name'})" for disk in disks) or "no disk"
    found = "more than one blank EBS volume" if candidates else "no blank EBS volume"
    raise StepError(Fault(f"{wanted} is not there, and {found} to take for it among {seen}", REMEDY))


def step() -> None:
    """Look at this host's disks."""
    command = ["lsblk", "--json", "--output", COLUMNS]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(choose(sys.argv[1], disks_of(listing)))


if __name__ == "__main__":
    sys.exit(run_step(PHASE, step))
