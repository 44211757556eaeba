"""Who counts as a user of an image, against an emulated AWS; and what a refused call does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from packer.account import Account
from packer.inventory import read_inventory
from packer.usage import uses_of
from settings.naming import TAG_IMAGE_KEY, TAG_IMAGE_ROLE
from tests.packer.made_up import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
OURS, OTHERS = "/sglang-fleet/sglang/image/router", "/sglang-fleet/other/image/workers-default"
DISK = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    from moto import mock_aws  # noqa: PLC0415 - two seconds

    with mock_aws():
        yield Account("us-east-1")


def client(service: str) -> Any:
    import boto3  # noqa: PLC0415 - as above

    return boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload] # any service


def template(name: str, *images: str) -> str:
    ec2 = client("ec2")
    made: str = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": images[0]})[
        "LaunchTemplate"
    ]["LaunchTemplateId"]
    for image in images[1:]:
        ec2.create_launch_template_version(LaunchTemplateId=made, LaunchTemplateData={"ImageId": image})
    return made


def group(name: str, template_id: str, version: str) -> None:
    client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=1,
        AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateId": template_id, "Version": version},
    )


def users(account: Account, **tables: Any) -> dict[str, tuple[str, ...]]:
    return dict(uses_of(account, settings_of(**tables)))


def test_nobody_uses_anything(account: Account) -> None:
    assert users(account) == {}


def test_parameters_of_every_deployment_count_and_other_parameters_do_not(account: Account) -> None:
    account.record(OURS, "ami-0000000a", "x")
    account.record(OTHERS, "ami-0000000b", "x")
    account.record("/sglang-fleet/sglang/api-key", "ami-0000000c", "x")
    account.record("/team/golden", "ami-0000000d", "x")
    assert users(account) == {"ami-0000000a": (f"parameter {OURS}",), "ami-0000000b": (f"parameter {OTHERS}",)}


def test_what_the_settings_name_counts(account: Account) -> None:
    account.record("/team/golden", "ami-0000000d", "x")
    named = users(
        account,
        router={"image": {"ami": "ami-0abcdef1234567890"}},
        workers=[{"image": {"ssm_parameter": "/team/golden"}}],
    )
    assert named == {
        "ami-0abcdef1234567890": ("settings router.image.ami",),
        "ami-0000000d": ("parameter /team/golden",),
    }


def test_latest_default_and_the_version_of_a_group_count_and_a_forgotten_one_does_not(account: Account) -> None:
    made = template("workers", "ami-0000000a", "ami-0000000b", "ami-0000000c", "ami-0000000d")
    group("workers", made, "2")
    assert users(account) == {
        "ami-0000000a": ("launch template workers version 1",),  # the default
        "ami-0000000b": ("launch template workers version 2",),
        "ami-0000000d": ("launch template workers version 4",),
    }


def test_a_template_that_names_a_parameter_uses_its_image(account: Account) -> None:
    account.record("/team/golden", "ami-0000000d", "x")
    template("workers", "resolve:ssm:/team/golden")
    assert users(account) == {"ami-0000000d": ("launch template workers version 1",)}


def test_a_stopped_instance_counts_and_a_terminated_one_does_not(account: Account) -> None:
    ec2 = account.ec2
    ids = []
    for _ in range(2):
        launched = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, BlockDeviceMappings=[DISK])  # type: ignore[list-item]
        ids.append(launched["Instances"][0]["InstanceId"])
    ec2.stop_instances(InstanceIds=ids[:1])
    ec2.terminate_instances(InstanceIds=ids[1:])
    assert users(account) == {"ami-12c6146b": (f"instance {ids[0]}",)}


@pytest.mark.parametrize(
    "action",
    [
        "ssm.DescribeParameters",
        "ssm.GetParameters",
        "ec2.DescribeLaunchTemplates",
        "ec2.DescribeLaunchTemplateVersions",
        "ec2.DescribeInstances",
        "autoscaling.DescribeAutoScalingGroups",
    ],
)
def test_a_refused_look_is_not_nobody(account: Account, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    account.record(OURS, "ami-0000000a", "x")
    template("workers", "ami-0000000a")
    service, operation = action.split(".")
    real = type(account.ec2)._make_api_call  # type: ignore[attr-defined] # botocore's own

    def call(self: Any, name: str, arguments: Any) -> Any:
        if (self.meta.service_model.service_name, name) == (service, operation):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, name)
        return real(self, name, arguments)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)
    with pytest.raises(ClientError, match="AccessDenied"):
        uses_of(account, settings_of())


def test_the_inventory_holds_baked_images_and_finds_lost_snapshots(account: Account) -> None:
    ec2 = account.ec2
    launched = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, BlockDeviceMappings=[DISK])  # type: ignore[list-item]
    instance = launched["Instances"][0]["InstanceId"]
    baked, lost, plain = (
        ec2.create_image(InstanceId=instance, Name=name)["ImageId"] for name in ("baked", "lost", "plain")
    )
    snapshots = {}
    for image in (baked, lost):
        told = ec2.describe_images(ImageIds=[image])["Images"][0]
        snapshots[image] = told["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        tags = [{"Key": TAG_IMAGE_KEY, "Value": "k"}, {"Key": TAG_IMAGE_ROLE, "Value": "router"}]
        ec2.create_tags(Resources=[image, snapshots[image]], Tags=tags)  # type: ignore[arg-type]
    ec2.deregister_image(ImageId=lost)
    inventory = read_inventory(account)
    assert [image.image_id for image in inventory.images] == [baked]
    assert [snapshot.snapshot_id for snapshot in inventory.orphans] == [snapshots[lost]]
    assert plain not in {image.image_id for image in inventory.images}
