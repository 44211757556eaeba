from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packer.host.model_disk import EBS_MODEL, choose, disks_of
from packer.host.report import StepError

STORE = "Amazon EC2 NVMe Instance Storage"


def device(path: str, model: str | None = EBS_MODEL, **changes: Any) -> dict[str, Any]:
    values = {"name": path[5:], "path": path, "type": "disk", "fstype": None, "label": None, "mountpoints": [None]}
    return {**values, "model": model, **changes}


ROOT = device("/dev/nvme0n1", children=[device("/dev/nvme0n1p1", None, type="part", fstype="ext4", mountpoints=["/"])])
BLANK = device("/dev/nvme2n1")
INSTANCE_STORE = device("/dev/nvme1n1", STORE)
LOOP = device("/dev/loop0", None, type="loop", fstype="squashfs", mountpoints=["/snap/core"])
BAKED = device("/dev/nvme2n1", fstype="ext4", label="sglang-models")


def chosen(*devices: dict[str, Any], wanted: str = "/dev/none-sdf") -> str:
    return choose(wanted, disks_of(json.dumps({"blockdevices": devices})))


def test_the_only_blank_ebs_volume() -> None:
    assert chosen(ROOT, INSTANCE_STORE, BLANK, LOOP) == "format /dev/nvme2n1"


def test_that_of_an_earlier_run() -> None:
    assert chosen(ROOT, BAKED) == "reuse /dev/nvme2n1"


def test_udevs_link(tmp_path: Path) -> None:
    link = tmp_path / "sdf"
    link.symlink_to("/dev/nvme2n1")
    assert chosen(ROOT, device("/dev/nvme3n1"), BLANK, wanted=str(link)) == "format /dev/nvme2n1"


def test_the_spelling_of_xen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == "/dev/xvdf")
    assert chosen(ROOT, device("/dev/xvdf", None), wanted="/dev/sdf") == "format /dev/xvdf"


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        (
            (ROOT, INSTANCE_STORE),
            r"/dev/none-sdf is not there, and no blank EBS volume to take for it among /dev/nvme0n1",
        ),
        ((ROOT, BLANK, device("/dev/nvme3n1")), "more than one blank EBS volume to take for it"),
        ((), "among no disk; bake again"),
    ],
)
def test_cannot_tell(devices: tuple[dict[str, Any], ...], sentence: str) -> None:
    with pytest.raises(StepError, match=sentence):
        chosen(*devices)


@pytest.mark.parametrize(
    ("disk", "holds"),
    [
        (device("/dev/nvme2n1", fstype="xfs"), "xfs"),
        (device("/dev/nvme2n1", fstype="ext4", label="data"), "ext4"),
        (device("/dev/nvme2n1", mountpoints=["/data"]), "a mounted file system"),
        (device("/dev/nvme2n1", children=[device("/dev/nvme2n1p1", None, type="part")]), "partitions"),
    ],
)
def test_formats_over_nothing(tmp_path: Path, disk: dict[str, Any], holds: str) -> None:
    (tmp_path / "sdf").symlink_to("/dev/nvme2n1")
    with pytest.raises(StepError, match=f"is /dev/nvme2n1, which holds {holds} and is not formatted over"):
        chosen(ROOT, disk, wanted=str(tmp_path / "sdf"))


def test_a_partition_is_no_disk(tmp_path: Path) -> None:
    (tmp_path / "sdf").symlink_to("/dev/nvme0n1p1")
    with pytest.raises(StepError, match="is /dev/nvme0n1p1, which is no whole disk"):
        chosen(ROOT, wanted=str(tmp_path / "sdf"))
