"""The life cycle through boto3, against the emulated AWS in this process, with a clock that a test moves."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

pytest.importorskip("moto")

from rehearsal.emulated_aws.installation import install_extensions
from rehearsal.emulated_aws.inventory import instances
from rehearsal.emulated_aws.power import MACHINES
from rehearsal.emulated_aws.scaling_groups import WORLD, rebalance_recommendation, spot_notice, tick
from rehearsal.emulated_aws.server import ApiServer

pytestmark = pytest.mark.slow  # importing moto takes two seconds

REGION = "us-west-2"
# Not the rehearsal's own address: one may be running on this machine.
HOST, PORT = "127.64.255.253", 4599
NUMBERS = count(1)
LAUNCH = {
    "LifecycleHookName": "launch",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "HeartbeatTimeout": 60,
}
DRAIN = {
    "LifecycleHookName": "drain",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "HeartbeatTimeout": 60,
}


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    install_extensions()
    made = ApiServer(HOST, PORT)
    made.start()
    yield
    made.stop()


def client(service: str) -> Any:
    session = boto3.Session(region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    config = Config(retries={"max_attempts": 1}, proxies={})
    return session.client(service, endpoint_url=f"http://{HOST}:{PORT}", config=config)  # type: ignore[call-overload]


@dataclass
class Fleet:
    """A group, and short ways to ask about it."""

    name: str
    aws: Any
    ec2: Any

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])[
            "AutoScalingGroups"
        ][0]
        return found

    def states(self) -> dict[str, str]:
        return {found["InstanceId"]: found["LifecycleState"] for found in self.describe()["Instances"]}

    def only(self, state: str) -> str:
        (found,) = [name for name, is_now in self.states().items() if is_now == state]
        return found

    def complete(self, hook: str, instance: str, result: str = "CONTINUE") -> None:
        self.aws.complete_lifecycle_action(
            LifecycleHookName=hook,
            AutoScalingGroupName=self.name,
            LifecycleActionResult=result,
            InstanceId=instance,
        )

    def activities(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.aws.describe_scaling_activities(AutoScalingGroupName=self.name)["Activities"]
        return found


def later(seconds: float) -> None:
    WORLD.clock.ahead += timedelta(seconds=seconds)


@pytest.fixture
def make(server: None) -> Iterator[Any]:  # noqa: ARG001 - it has to run
    aws, ec2, made = client("autoscaling"), client("ec2"), []
    vpc = ec2.create_vpc(CidrBlock="127.64.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"127.64.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]

    def build(desired: int, *hooks: dict[str, Any], **more: Any) -> Fleet:
        name = f"group-{next(NUMBERS)}"
        data = {"ImageId": "ami-12c6146b", "InstanceType": "g6e.xlarge"}
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        settings = {"MinSize": 0, "MaxSize": 6, "DesiredCapacity": desired, "HealthCheckGracePeriod": 0, **more}
        aws.create_auto_scaling_group(
            AutoScalingGroupName=name,
            VPCZoneIdentifier=",".join(subnets),
            LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
            LifecycleHookSpecificationList=list(hooks),
            **settings,
        )
        made.append(name)
        return Fleet(name, aws, ec2)

    yield build
    for name in made:
        aws.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    WORLD.market.without_capacity.clear()
    WORLD.clock.ahead = timedelta()  # other tests of this process share the clock
    MACHINES.on.clear()


def test_a_hook_given_with_the_group_holds_its_first_instances(make: Any) -> None:
    fleet = make(2, LAUNCH)
    assert list(fleet.states().values()) == ["Pending:Wait"] * 2
    first, second = fleet.states()
    fleet.complete("launch", first)
    assert fleet.states() == {first: "InService", second: "Pending:Wait"}
    with pytest.raises(ClientError, match=f"No active Lifecycle Action found with instance ID {first}"):
        fleet.complete("launch", first)
    (hook,) = fleet.aws.describe_lifecycle_hooks(AutoScalingGroupName=fleet.name)["LifecycleHooks"]
    assert (hook["HeartbeatTimeout"], hook["GlobalTimeout"], hook["DefaultResult"]) == (60, 6000, "ABANDON")


def test_a_drain_lives_as_long_as_its_heartbeats(make: Any) -> None:
    fleet = make(1)
    fleet.aws.put_lifecycle_hook(AutoScalingGroupName=fleet.name, **DRAIN)
    fleet.aws.set_desired_capacity(AutoScalingGroupName=fleet.name, DesiredCapacity=0)
    instance = fleet.only("Terminating:Wait")
    for _ in range(3):
        later(40)
        fleet.aws.record_lifecycle_action_heartbeat(
            LifecycleHookName="drain", AutoScalingGroupName=fleet.name, InstanceId=instance
        )
    assert fleet.only("Terminating:Wait") == instance
    assert fleet.activities()[0]["StatusCode"] == "MidLifecycleAction"
    later(60)
    assert fleet.states() == {}
    assert fleet.activities()[0]["StatusCode"] == "Successful"


def test_the_limits_of_the_group_are_kept_to(make: Any) -> None:
    fleet = make(1)
    with pytest.raises(ClientError, match="New SetDesiredCapacity value 7 is above max value 6"):
        fleet.aws.set_desired_capacity(AutoScalingGroupName=fleet.name, DesiredCapacity=7)
    with pytest.raises(ClientError, match="Desired capacity:7 must be between the specified min size:0 and max size:6"):
        fleet.aws.update_auto_scaling_group(AutoScalingGroupName=fleet.name, DesiredCapacity=7)
    fleet.aws.update_auto_scaling_group(AutoScalingGroupName=fleet.name, MinSize=3)
    assert len(fleet.states()) == 3
    with pytest.raises(ClientError, match="Valid Range for heartbeatTimeout"):
        fleet.aws.put_lifecycle_hook(AutoScalingGroupName=fleet.name, **{**DRAIN, "HeartbeatTimeout": 5})


def test_an_unhealthy_instance_is_replaced_and_drains(make: Any) -> None:
    fleet = make(1, DRAIN)
    old = fleet.only("InService")
    fleet.aws.set_instance_health(InstanceId=old, HealthStatus="Unhealthy")
    assert fleet.only("Terminating:Wait") == old
    assert fleet.only("InService") != old
    shown = {found["InstanceId"]: found["HealthStatus"] for found in fleet.describe()["Instances"]}
    assert shown[old] == "Unhealthy"
    assert any("user health-check" in activity["Cause"] for activity in fleet.activities())


@pytest.mark.parametrize("call", ["terminate_instances", "stop_instances"])
def test_an_instance_that_ec2_ended_is_replaced(make: Any, call: str) -> None:
    fleet = make(1)
    old = fleet.only("InService")
    getattr(fleet.ec2, call)(InstanceIds=[old])
    assert fleet.only("InService") != old


def test_an_instance_is_shutting_down_until_its_machine_is_off(make: Any) -> None:
    fleet = make(1)
    instance = fleet.only("InService")
    MACHINES.switched_on(instance)
    activity = fleet.aws.terminate_instance_in_auto_scaling_group(
        InstanceId=instance, ShouldDecrementDesiredCapacity=True
    )["Activity"]
    assert activity["Description"] == f"Terminating EC2 instance: {instance}"
    assert activity["Cause"].endswith("in response to a user request, shrinking the capacity from 1 to 0.")
    assert ec2_state(fleet, instance) == "shutting-down"
    assert list(fleet.states()) == [instance]
    MACHINES.switched_off(instance)
    assert ec2_state(fleet, instance) == "terminated"
    assert fleet.states() == {}


def ec2_state(fleet: Fleet, instance: str) -> str:
    found = fleet.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def test_a_warm_pool_has_instances_that_start_faster(make: Any) -> None:
    fleet = make(0)
    fleet.aws.put_warm_pool(
        AutoScalingGroupName=fleet.name,
        MaxGroupPreparedCapacity=2,
        MinSize=1,
        PoolState="Stopped",
        InstanceReusePolicy={"ReuseOnScaleIn": True},
    )
    pool = fleet.aws.describe_warm_pool(AutoScalingGroupName=fleet.name)
    assert [found["LifecycleState"] for found in pool["Instances"]] == ["Warmed:Stopped"] * 2
    assert pool["WarmPoolConfiguration"]["InstanceReusePolicy"] == {"ReuseOnScaleIn": True}
    assert fleet.states() == {}
    warmed = {found["InstanceId"] for found in pool["Instances"]}
    details = fleet.aws.describe_auto_scaling_instances(InstanceIds=list(warmed))["AutoScalingInstances"]
    assert {found["LifecycleState"] for found in details} == {"Warmed:Stopped"}
    assert {found["AutoScalingGroupName"] for found in details} == {fleet.name}
    fleet.aws.set_desired_capacity(AutoScalingGroupName=fleet.name, DesiredCapacity=1)
    assert fleet.only("InService") in warmed
    fleet.aws.set_desired_capacity(AutoScalingGroupName=fleet.name, DesiredCapacity=0)
    again = fleet.aws.describe_warm_pool(AutoScalingGroupName=fleet.name)["Instances"]
    assert {found["InstanceId"] for found in again} == warmed
    fleet.aws.delete_warm_pool(AutoScalingGroupName=fleet.name, ForceDelete=True)
    assert {ec2_state(fleet, instance) for instance in warmed} == {"terminated"}


def test_a_full_zone_is_avoided_and_named(make: Any) -> None:
    fleet = make(0)
    WORLD.market.set_capacity(f"{REGION}a", available=False)
    fleet.aws.set_desired_capacity(AutoScalingGroupName=fleet.name, DesiredCapacity=1)
    (instance,) = fleet.describe()["Instances"]
    assert instance["AvailabilityZone"] == f"{REGION}b"
    failed = next(activity for activity in fleet.activities() if activity["StatusCode"] == "Failed")
    assert failed["StatusMessage"].startswith("We currently do not have sufficient g6e.xlarge capacity")
    assert json.loads(failed["Details"])["Availability Zone"] == f"{REGION}a"


def test_a_refresh_brings_the_new_version_without_losing_capacity(make: Any) -> None:
    fleet = make(2, LAUNCH, InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110})
    old = list(fleet.states())
    for instance in old:
        fleet.complete("launch", instance)
    data = {"ImageId": "ami-12c6146b", "InstanceType": "g6e.2xlarge"}
    fleet.ec2.create_launch_template(LaunchTemplateName=f"{fleet.name}-first", LaunchTemplateData=data)
    fleet.ec2.create_launch_template_version(LaunchTemplateName=fleet.name, LaunchTemplateData=data)
    wanted = {"LaunchTemplate": {"LaunchTemplateName": fleet.name, "Version": "2"}}
    started = fleet.aws.start_instance_refresh(
        AutoScalingGroupName=fleet.name,
        DesiredConfiguration=wanted,
        Preferences={"InstanceWarmup": 0, "SkipMatching": True},
    )["InstanceRefreshId"]
    with pytest.raises(fleet.aws.exceptions.InstanceRefreshInProgressFault):
        fleet.aws.start_instance_refresh(AutoScalingGroupName=fleet.name)
    for _ in range(2):
        assert list(fleet.states().values()).count("InService") == 2
        fleet.complete("launch", fleet.only("Pending:Wait"))
    (refresh,) = fleet.aws.describe_instance_refreshes(AutoScalingGroupName=fleet.name)["InstanceRefreshes"]
    assert (refresh["InstanceRefreshId"], refresh["Status"]) == (started, "Successful")
    assert refresh["PercentageComplete"] == 100
    assert not set(old) & set(fleet.states())
    assert {found["LaunchTemplate"]["Version"] for found in fleet.describe()["Instances"]} == {"2"}
    assert {found["InstanceType"] for found in fleet.describe()["Instances"]} == {"g6e.2xlarge"}


def test_a_refresh_can_be_cancelled_once(make: Any) -> None:
    fleet = make(2, LAUNCH)
    fleet.aws.start_instance_refresh(AutoScalingGroupName=fleet.name)
    fleet.aws.cancel_instance_refresh(AutoScalingGroupName=fleet.name)
    with pytest.raises(fleet.aws.exceptions.ActiveInstanceRefreshNotFoundFault):
        fleet.aws.cancel_instance_refresh(AutoScalingGroupName=fleet.name)


def test_a_spot_notice_is_told_to_the_host_and_comes_true(make: Any) -> None:
    fleet = make(1, DRAIN, CapacityRebalance=True)
    old = fleet.only("InService")
    spot_notice(REGION, old)
    assert fleet.only("Terminating:Wait") == old
    (record,) = [found for found in instances(REGION) if found.id == old]
    assert record.target_state == "Terminated"
    assert record.notices is not None
    assert record.notices.ends == record.notices.noticed + timedelta(minutes=2)
    for _ in range(2):
        later(50)
        fleet.aws.record_lifecycle_action_heartbeat(
            LifecycleHookName="drain", AutoScalingGroupName=fleet.name, InstanceId=old
        )
    tick(REGION)
    assert ec2_state(fleet, old) == "running"
    later(20)
    tick(REGION)
    assert ec2_state(fleet, old) == "terminated"
    assert old not in fleet.states()


def test_a_group_reads_back_what_was_written(make: Any) -> None:
    policy = {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 120}
    fleet = make(0, DefaultInstanceWarmup=30, InstanceMaintenancePolicy=policy)
    found = fleet.describe()
    assert found["DefaultInstanceWarmup"] == 30
    assert found["InstanceMaintenancePolicy"] == policy
    fleet.aws.update_auto_scaling_group(
        AutoScalingGroupName=fleet.name,
        InstanceMaintenancePolicy={"MinHealthyPercentage": -1, "MaxHealthyPercentage": -1},
        TerminationPolicies=["OldestInstance"],
    )
    found = fleet.describe()
    assert "InstanceMaintenancePolicy" not in found
    assert found["TerminationPolicies"] == ["OldestInstance"]
    answer = fleet.aws.put_scaling_policy(
        AutoScalingGroupName=fleet.name,
        PolicyName=f"{fleet.name}-p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "TargetValue": 1.0,
            "CustomizedMetricSpecification": {"MetricName": "m", "Namespace": "n", "Statistic": "Average"},
        },
    )
    assert answer["PolicyARN"].endswith(f"policyName/{fleet.name}-p")
    (read,) = fleet.aws.describe_policies(AutoScalingGroupName=fleet.name)["ScalingPolicies"]
    assert read["Enabled"] is True
    assert "PredictiveScalingConfiguration" not in read


def test_standby_protection_and_detaching_go_on_working(make: Any) -> None:
    fleet = make(3)
    first, second, third = fleet.states()
    fleet.aws.enter_standby(AutoScalingGroupName=fleet.name, InstanceIds=[first], ShouldDecrementDesiredCapacity=True)
    assert fleet.states()[first] == "Standby"
    fleet.aws.exit_standby(AutoScalingGroupName=fleet.name, InstanceIds=[first])
    fleet.aws.set_instance_protection(AutoScalingGroupName=fleet.name, InstanceIds=[second], ProtectedFromScaleIn=True)
    fleet.aws.detach_instances(
        AutoScalingGroupName=fleet.name, InstanceIds=[third], ShouldDecrementDesiredCapacity=True
    )
    fleet.aws.set_desired_capacity(AutoScalingGroupName=fleet.name, DesiredCapacity=1)
    assert fleet.states() == {second: "InService"}
    fleet.aws.attach_instances(AutoScalingGroupName=fleet.name, InstanceIds=[third])
    assert sorted(fleet.states()) == sorted([second, third])


def test_an_update_of_the_size_keeps_the_mixed_instances_policy(make: Any) -> None:
    fleet = make(0)
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": fleet.name, "Version": "1"},
            "Overrides": [{"InstanceType": "g6e.4xlarge"}],
        }
    }
    fleet.aws.update_auto_scaling_group(AutoScalingGroupName=fleet.name, MixedInstancesPolicy=policy)
    fleet.aws.update_auto_scaling_group(AutoScalingGroupName=fleet.name, MinSize=1)
    assert [found["InstanceType"] for found in fleet.describe()["Instances"]] == ["g6e.4xlarge"]
    assert fleet.describe()["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]


def test_a_rebalance_recommendation_is_told_to_the_host_and_its_group(make: Any) -> None:
    fleet = make(1, CapacityRebalance=True)
    old = fleet.only("InService")
    rebalance_recommendation(REGION, old)
    (record,) = [found for found in instances(REGION) if found.id == old]
    assert record.notices is not None
    assert record.notices.ends is None
    assert fleet.only("InService") != old


def test_a_later_version_with_user_data_can_be_launched(make: Any) -> None:
    fleet = make(1)
    text = base64.b64encode(b"#cloud-config\n").decode()
    data = {"ImageId": "ami-12c6146b", "InstanceType": "g6e.xlarge", "UserData": text}
    fleet.ec2.create_launch_template(LaunchTemplateName=f"{fleet.name}-first", LaunchTemplateData=data)
    fleet.ec2.create_launch_template_version(LaunchTemplateName=fleet.name, LaunchTemplateData=data)
    template = {"LaunchTemplateName": fleet.name, "Version": "2"}
    fleet.aws.update_auto_scaling_group(AutoScalingGroupName=fleet.name, LaunchTemplate=template, DesiredCapacity=2)
    later(1)
    _, second = fleet.states()
    told = fleet.ec2.describe_instance_attribute(InstanceId=second, Attribute="userData")
    assert told["UserData"]["Value"] == text
