"""What is removed behind a bake that failed: the plan, refusals, and everything against an emulated EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from packer.sweep import Leftover, Swept, Traces, plan_sweep, sweep
from tests.packer.stubs import StubbedAccount, stubbed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_ec2 import EC2Client

TRACES = Traces("u-1", frozenset({"pair"}), frozenset({"packer_1"}), frozenset({"i-0a"}), "image-name")
INSTANCE, VOLUME, GROUP = Leftover("instance", "i-1"), Leftover("volume", "vol-1"), Leftover("security group", "sg-1")
PAIR, IMAGE, SNAPSHOT = Leftover("key pair", "pair"), Leftover("image", "ami-1"), Leftover("snapshot", "snap-1")


def test_what_holds_something_goes_before_it() -> None:
    everything = (INSTANCE, VOLUME, GROUP, PAIR, IMAGE, SNAPSHOT)
    assert plan_sweep(everything) == (INSTANCE, PAIR, IMAGE)
    assert plan_sweep((VOLUME, GROUP, SNAPSHOT)) == (VOLUME, GROUP, SNAPSHOT)


def test_an_instance_that_is_going_is_waited_for() -> None:
    assert plan_sweep((Leftover("instance", "i-1", going=True), VOLUME, GROUP)) == ()
    assert plan_sweep(()) == ()


def test_what_is_said() -> None:
    assert list(Swept().lines()) == ["nothing of the bake is left in the account"]
    swept = Swept((PAIR,), (GROUP,), ("security group sg-1: DeleteSecurityGroup: UnauthorizedOperation: no",))
    assert list(swept.lines()) == [
        "removed what was left of the bake: key pair pair",
        "still there: security group sg-1; remove it with: aws ec2 delete-security-group --group-id sg-1",
        "could not be cleaned up: security group sg-1: DeleteSecurityGroup: UnauthorizedOperation: no",
    ]
    assert not swept.clean


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def found(account: StubbedAccount, *, groups: tuple[str, ...] = ()) -> None:
    """One look that finds these security groups and nothing else."""
    ec2 = account.of_ec2
    for _ in range(2):
        ec2.add_response("describe_instances", {"Reservations": []})
    ec2.add_response("describe_volumes", {"Volumes": []})
    for _ in range(2):
        ec2.add_response("describe_key_pairs", {"KeyPairs": []})
    ec2.add_response("describe_security_groups", {"SecurityGroups": []})
    ec2.add_response("describe_security_groups", {"SecurityGroups": [{"GroupId": name} for name in groups]})


FEW = Traces("u-1", frozenset({"pair"}), frozenset({"packer_1"}))


def test_a_group_that_is_still_in_use_is_tried_again() -> None:
    clock = Clock()
    with stubbed() as account:
        found(account, groups=("sg-1",))
        account.of_ec2.add_client_error("delete_security_group", "DependencyViolation", "in use")
        found(account, groups=("sg-1",))
        account.of_ec2.add_response("delete_security_group", {})
        found(account)
        swept = sweep(account.ec2, FEW, 60, clock=clock, sleep=clock.sleep)
    assert (swept.clean, swept.removed, clock.now) == (True, (GROUP,), 6.0)


def test_a_refusal_is_told_at_once_and_not_waited_for() -> None:
    clock = Clock()
    with stubbed() as account:
        found(account, groups=("sg-1",))
        account.of_ec2.add_client_error("delete_security_group", "UnauthorizedOperation", "no")
        swept = sweep(account.ec2, FEW, 600, clock=clock, sleep=clock.sleep)
    assert (swept.removed, swept.left, clock.now) == ((), (GROUP,), 0.0)
    assert swept.problems == ("security group sg-1: DeleteSecurityGroup: UnauthorizedOperation: no",)


def test_patience_ends() -> None:
    clock = Clock()
    with stubbed() as account:
        for _ in range(3):
            found(account, groups=("sg-1",))
            account.of_ec2.add_client_error("delete_security_group", "DependencyViolation", "in use")
        swept = sweep(account.ec2, FEW, 6, clock=clock, sleep=clock.sleep)
    assert swept.left == (GROUP,)


def test_what_may_not_be_looked_at_is_not_taken_for_nothing() -> None:
    with stubbed() as account:
        account.of_ec2.add_client_error("describe_instances", "UnauthorizedOperation", "no")
        account.of_ec2.add_response("describe_volumes", {"Volumes": []})
        for _ in range(2):
            account.of_ec2.add_response("describe_key_pairs", {"KeyPairs": []})
        for _ in range(2):
            account.of_ec2.add_response("describe_security_groups", {"SecurityGroups": []})
        swept = sweep(account.ec2, FEW, 600)
    assert not swept.clean
    assert swept.problems == ("DescribeInstances: UnauthorizedOperation: no",)


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[EC2Client]:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    import boto3  # noqa: PLC0415 - moto takes two seconds that the fast tests need not wait for
    from moto import mock_aws  # noqa: PLC0415

    with mock_aws():
        yield boto3.client("ec2", region_name="us-east-1")


def made(ec2: EC2Client, bake: str, *, tagged: bool) -> Traces:
    """Everything that Packer makes, and what is known of it."""
    pair = ec2.create_key_pair(KeyName=f"pair-{bake}")["KeyName"]
    group = ec2.create_security_group(GroupName=f"packer_{bake}", Description="temporary")["GroupId"]
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}
    launched = ec2.run_instances(
        ImageId="ami-12c6146b",
        KeyName=pair,
        SecurityGroupIds=[group],
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[disk],  # type: ignore[list-item] # a literal of the same form
    )
    instance = launched["Instances"][0]["InstanceId"]
    ec2.create_image(InstanceId=instance, Name=f"image-{bake}")
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=9)["VolumeId"]
    ec2.create_tags(Resources=[volume], Tags=[{"Key": "sglang-fleet:bake", "Value": bake}])
    if tagged:
        ec2.create_tags(Resources=[instance], Tags=[{"Key": "sglang-fleet:bake", "Value": bake}])
    seen = frozenset({instance} if tagged else ())
    return Traces(bake, frozenset({pair}), frozenset({f"packer_{bake}"}), seen, f"image-{bake}")


def there(ec2: EC2Client) -> dict[str, int]:
    instances = [one for group in ec2.describe_instances()["Reservations"] for one in group["Instances"]]
    return {
        "instances": len([one for one in instances if one["State"]["Name"] != "terminated"]),
        "volumes": len(ec2.describe_volumes()["Volumes"]),
        "key pairs": len(ec2.describe_key_pairs()["KeyPairs"]),
        "groups": len(
            [one for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]
        ),
        "images": len(ec2.describe_images(Owners=["self"])["Images"]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("tagged", [True, False])
def test_everything_of_one_bake_goes_and_nothing_of_another(ec2: EC2Client, tagged: bool) -> None:
    made(ec2, "other", tagged=True)
    before = there(ec2)
    traces = made(ec2, "mine", tagged=tagged)
    swept = sweep(ec2, traces, 30, sleep=lambda _: None)
    assert swept.clean
    kinds = {"instance", "volume", "key pair", "security group", "image", "snapshot"}
    assert {leftover.kind for leftover in swept.removed} == kinds
    assert there(ec2) == before


@pytest.mark.slow
def test_an_image_that_is_to_stay_stays(ec2: EC2Client) -> None:
    traces = made(ec2, "mine", tagged=True)
    sweep(ec2, Traces(traces.bake_id, traces.key_pairs, traces.security_groups), 30, sleep=lambda _: None)
    assert there(ec2) == {"instances": 0, "volumes": 0, "key pairs": 0, "groups": 0, "images": 1}


@pytest.mark.slow
def test_with_nothing_there_nothing_is_removed(ec2: EC2Client) -> None:
    assert sweep(ec2, TRACES, 30) == Swept()
