"""`fleet images` and `fleet images prune`, against moto in this process."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from fleet.cli import main
from settings.naming import (
    TAG_IMAGE_ARCHITECTURE,
    TAG_IMAGE_ENGINE,
    TAG_IMAGE_KEY,
    TAG_IMAGE_MODEL,
    TAG_IMAGE_MODEL_REVISION,
    TAG_IMAGE_ROLE,
)
from tests.settings.cases import ENVIRONMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow
EXAMPLE = ENVIRONMENTS / "example.toml"
WORKER = "/sglang-fleet/sglang/image/workers-default"
DISK = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        yield boto3.client("ec2", region_name="us-east-1")


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def run(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["fleet", "images", *words])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


def baked(ec2: Any, name: str, *, role: str = "worker") -> tuple[str, str]:
    """An image as a bake leaves it, and its snapshot."""
    launched = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, BlockDeviceMappings=[DISK])
    instance = launched["Instances"][0]["InstanceId"]
    image = ec2.create_image(InstanceId=instance, Name=name)["ImageId"]
    ec2.terminate_instances(InstanceIds=[instance])
    told = ec2.describe_images(ImageIds=[image])["Images"][0]
    snapshot = told["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    tags = {TAG_IMAGE_ROLE: role, TAG_IMAGE_KEY: f"key-{name}", TAG_IMAGE_ARCHITECTURE: "x86_64"}
    if role == "worker":
        tags |= {TAG_IMAGE_MODEL: "org/tiny", TAG_IMAGE_MODEL_REVISION: "a" * 40, TAG_IMAGE_ENGINE: "0.5.23"}
    ec2.create_tags(Resources=[image, snapshot], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return image, snapshot


def record(image: str) -> None:
    boto3.client("ssm", region_name="us-east-1").put_parameter(Name=WORKER, Value=image, Type="String")


def left(ec2: Any) -> set[str]:
    return {image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]}


def snapshots(ec2: Any) -> set[str]:
    told = ec2.describe_snapshots(Filters=[{"Name": "tag-key", "Values": [TAG_IMAGE_KEY]}])["Snapshots"]
    return {snapshot["SnapshotId"] for snapshot in told}


def deny(monkeypatch: pytest.MonkeyPatch, ec2: Any, operation: str) -> None:
    real = type(ec2)._make_api_call

    def call(self: Any, name: str, arguments: Any) -> Any:
        if name == operation:
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, name)
        return real(self, name, arguments)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)


def line_with(text: str, word: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(word)]
    return " ".join(found.split())


def test_no_images(ec2: Any, images: Callable[..., Answer]) -> None:
    del ec2
    answer = images("-e", str(EXAMPLE))
    assert (answer.code, answer.out) == (0, "No baked images here. `fleet bake` makes them.\n")


def test_the_list_says_what_each_image_is_costs_and_who_uses_it(ec2: Any, images: Callable[..., Answer]) -> None:
    worker, _ = baked(ec2, "one")
    router, _ = baked(ec2, "two", role="router")
    record(worker)
    answer = images("-e", str(EXAMPLE))
    assert answer.code == 0
    line = line_with(answer.out, worker)
    assert " worker key-one org/tiny@aaaaaaaaaaaa 0.5.23 x86_64 15.0 0.75 " in line
    assert line.endswith(f"parameter {WORKER}")
    assert line_with(answer.out, router).endswith("nobody")
    assert "2 images, 1.50 USD per month at most." in answer.out
    assert "0.05 USD per GiB and month (EBS snapshots, standard tier, us-east-1)" in answer.out


def test_json_says_the_same(ec2: Any, images: Callable[..., Answer]) -> None:
    worker, snapshot = baked(ec2, "one")
    record(worker)
    (told,) = json.loads(images("-e", str(EXAMPLE), "--json").out)["images"]
    assert told["created"].startswith("20")
    del told["created"]
    assert told == {
        "image": worker,
        "name": "one",
        "state": "available",
        "role": "worker",
        "key": "key-one",
        "architecture": "x86_64",
        "engine": "0.5.23",
        "model": "org/tiny",
        "revision": "a" * 40,
        "snapshots": [snapshot],
        "size_gib": 15.0,
        "usd_per_month_at_most": 0.75,
        "in_use_by": [f"parameter {WORKER}"],
    }


def test_a_list_without_users_says_so(ec2: Any, images: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    worker, _ = baked(ec2, "one")
    deny(monkeypatch, ec2, "DescribeLaunchTemplates")
    answer = images("-e", str(EXAMPLE))
    assert answer.code == 1
    assert line_with(answer.out, worker).endswith("unknown")
    assert answer.err == "who uses the images cannot be told: DescribeLaunchTemplates: UnauthorizedOperation: no\n"
    (told,) = json.loads(images("-e", str(EXAMPLE), "--json").out)["images"]
    assert told["in_use_by"] is None


def test_prune_deletes_what_nobody_needs_with_its_snapshots(ec2: Any, images: Callable[..., Answer]) -> None:
    (used, _), (old, old_snapshot) = baked(ec2, "used"), baked(ec2, "old")
    newest, _ = baked(ec2, "newest")
    record(used)
    plan = images("prune", "--keep", "0", "--dry-run", "-e", str(EXAMPLE))
    assert plan.code == 0
    assert "Nothing was deleted: --dry-run." in plan.out
    assert left(ec2) == {used, old, newest}

    answer = images("prune", "--keep", "0", "--yes", "-e", str(EXAMPLE))
    assert (answer.code, left(ec2)) == (0, {used})
    assert f"in use by parameter {WORKER}" in line_with(answer.out, used)
    assert " delete 0.75 unused, and number " in line_with(answer.out, old)
    assert "Deleted 2 images and 2 snapshots." in answer.out
    assert old_snapshot not in snapshots(ec2)
    assert images("prune", "--keep", "0", "-e", str(EXAMPLE)).out.endswith("Nothing to delete.\n")


def test_the_newest_are_kept(ec2: Any, images: Callable[..., Answer]) -> None:
    names = [baked(ec2, f"image-{number}")[0] for number in range(3)]
    told = json.loads(images("prune", "--keep", "2", "--yes", "--json", "-e", str(EXAMPLE)).out)
    assert (len(told["deleted_images"]), told["problems"]) == (1, [])
    assert left(ec2) == set(names) - set(told["deleted_images"])


def test_without_yes_a_no_deletes_nothing(
    ec2: Any, images: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _ = baked(ec2, "one")
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    images("prune", "--keep", "0", "-e", str(EXAMPLE))
    assert left(ec2) == {image}


@pytest.mark.parametrize(
    "operation",
    ["DescribeInstances", "DescribeLaunchTemplates", "DescribeParameters", "DescribeAutoScalingGroups"],
)
def test_when_users_cannot_be_told_nothing_is_deleted(
    ec2: Any, images: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    image, _ = baked(ec2, "one")
    deny(monkeypatch, ec2, operation)
    answer = images("prune", "--keep", "0", "--yes", "-e", str(EXAMPLE))
    monkeypatch.undo()
    assert (answer.code, left(ec2)) == (1, {image})
    assert answer.err == (
        f"nothing is deleted, because who uses the images cannot be told: {operation}: UnauthorizedOperation: no\n"
    )


def test_what_could_not_be_deleted_is_said(
    ec2: Any, images: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _ = baked(ec2, "one")
    deny(monkeypatch, ec2, "DeregisterImage")
    answer = images("prune", "--keep", "0", "--yes", "-e", str(EXAMPLE))
    assert answer.code == 1
    assert f"{image}: UnauthorizedOperation: no" in answer.out
    assert "Deleted 0 images and 0 snapshots." in answer.out


def test_the_number_to_keep_must_be_said(ec2: Any, images: Callable[..., Answer]) -> None:
    del ec2
    answer = images("prune", "-e", str(EXAMPLE))
    assert (answer.code, "--keep" in answer.err) == (2, True)
