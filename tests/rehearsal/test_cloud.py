"""The emulated cloud as a whole: API, launches, machines, their metadata, and an end without a trace."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from rehearsal import cloud_process
from rehearsal.cloud_config import CloudConfig, ImageConfig
from rehearsal.cloud_process import BusyError
from rehearsal.leftovers import client, clients, take_inventory
from rehearsal.places import API_URL, CONTROL_URL, WorkFolder, metadata_url
from rehearsal.processes import marked

pytestmark = pytest.mark.slow

REGION = "us-east-1"
IMAGE = "/sglang-fleet/t/image/workers-default"
UNIT = "[Service]\nExecStart=/bin/sh -c 'echo serving; exec sleep 600'\nRestart=always\n"


@dataclass(frozen=True)
class Cloud:
    """A running cloud, and the ways to talk to it."""

    work: WorkFolder

    def api(self, service: str) -> Any:
        return client(clients(REGION), service)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    work = WorkFolder(tmp_path / "work")
    work.create()
    image = ImageConfig(role="worker", architecture="x86_64", parameter=IMAGE, model="tiny")
    venv = Path(sys.prefix)
    config = CloudConfig(region=REGION, images=(image,), router_venv=venv, agent_venv=venv)
    cloud_process.claim(work)
    cloud_process.start(work, config, keep=False)
    try:
        yield Cloud(work)
    finally:
        cloud_process.stop(work)
        assert marked("SGLANG_FLEET_ROOT", str(work.root)) == ()


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s"
        time.sleep(0.1)
    return found


def user_data(*commands: Any) -> str:
    unit = {"path": "/etc/systemd/system/x.service", "content": UNIT}
    text = "#cloud-config\n" + json.dumps({"write_files": [unit], "runcmd": list(commands)})
    return base64.b64encode(text.encode()).decode()


def launch_group(cloud: Cloud, size: int, data: str) -> None:
    """A VPC with two subnets, a role, a launch template and a group, as the stacks make them."""
    ec2, iam = cloud.api("ec2"), cloud.api("iam")
    vpc = ec2.create_vpc(CidrBlock="127.64.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"127.64.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    group = ec2.create_security_group(GroupName="workers", Description="x", VpcId=vpc)["GroupId"]
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="worker")
    iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName="worker")
    template = {
        "ImageId": f"resolve:ssm:{IMAGE}",
        "InstanceType": "g6e.xlarge",
        "UserData": data,
        "IamInstanceProfile": {"Name": "worker"},
        "MetadataOptions": {"HttpTokens": "required"},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [group], "AssociatePublicIpAddress": False}],
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 150, "Encrypted": True, "DeleteOnTermination": True}}
        ],
        "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "of", "Value": "worker"}]}],
    }
    ec2.create_launch_template(LaunchTemplateName="workers", LaunchTemplateData=template)
    cloud.api("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="g",
        MinSize=size,
        MaxSize=size + 2,
        VPCZoneIdentifier=",".join(subnets),
        LaunchTemplate={"LaunchTemplateName": "workers", "Version": "1"},
        Tags=[
            {
                "Key": "pool",
                "Value": "p",
                "PropagateAtLaunch": True,
                "ResourceId": "g",
                "ResourceType": "auto-scaling-group",
            }
        ],
    )


def running(cloud: Cloud) -> list[dict[str, Any]]:
    filters = [{"Name": "instance-state-name", "Values": ["running"]}]
    reservations = cloud.api("ec2").describe_instances(Filters=filters)["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def test_a_group_launches_what_its_template_says_spread_over_the_zones(cloud: Cloud) -> None:
    launch_group(cloud, 4, user_data("systemctl enable --now x"))
    instances = running(cloud)
    assert sorted(instance["PrivateIpAddress"] for instance in instances) == [
        "127.64.0.4",
        "127.64.0.5",
        "127.64.1.4",
        "127.64.1.5",
    ]
    assert {instance["Placement"]["AvailabilityZone"] for instance in instances} == {"us-east-1a", "us-east-1b"}
    for instance in instances:
        assert {"Key": "pool", "Value": "p"} in instance["Tags"]
        assert instance["IamInstanceProfile"]["Arn"].endswith("/worker")
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert [group["GroupName"] for group in instance["SecurityGroups"]] == ["workers"]
        assert "PublicIpAddress" not in instance
    volumes = cloud.api("ec2").describe_volumes()["Volumes"]
    # The template says nothing of the image's second volume: it is as the image has it.
    of_image, of_template = (8, False), (150, True)
    assert sorted((v["Size"], v["Encrypted"]) for v in volumes) == [of_image] * 4 + [of_template] * 4
    assert all(v["Tags"] == [{"Key": "of", "Value": "worker"}] for v in volumes)


def test_a_machine_boots_serves_gets_credentials_and_goes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    before = take_inventory(REGION)
    launch_group(cloud, 1, user_data("systemctl enable --now x", "systemctl is-active x"))
    machine = until(lambda: [m for m in cloud_process.machines() if m["failed_commands"] == 0])[0]
    assert machine["units"] == {"x.service": "active"}
    url = metadata_url(machine["private_ip"])
    assert httpx.get(f"{url}/latest/meta-data/instance-id", trust_env=False).status_code == 401
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    session = boto3.Session(region_name=REGION)
    credentials = session.get_credentials()
    assert credentials is not None
    assert credentials.method == "iam-role"
    assert session.client("sts", endpoint_url=API_URL).get_caller_identity()["Account"] == "123456789012"
    cloud.api("autoscaling").update_auto_scaling_group(AutoScalingGroupName="g", MinSize=0, DesiredCapacity=0)
    until(lambda: not cloud_process.switched_on())
    assert marked("SGLANG_FLEET_ROOT", str(cloud.work.machines)) == ()
    left = {resource.kind for resource in take_inventory(REGION) - before}
    assert not left & {"instance", "volume", "network interface"}


def test_a_machine_that_cannot_serve_powers_itself_off_and_is_replaced(cloud: Cloud) -> None:
    launch_group(
        cloud, 1, user_data("test -e $SGLANG_FLEET_ROOT/../healed || systemctl poweroff", "systemctl enable --now x")
    )
    first = until(cloud_process.incidents)[0]
    (cloud.work.machines / "healed").touch()
    until(lambda: any(m["units"].get("x.service") == "active" for m in cloud_process.machines()))
    assert first["instance_id"] not in {instance["InstanceId"] for instance in running(cloud)}
    assert "poweroff" in first["reason"]


def test_a_warmed_machine_stops_and_comes_back_as_it_was(cloud: Cloud) -> None:
    autoscaling = cloud.api("autoscaling")
    launch_group(cloud, 0, user_data("date +%s%N > $SGLANG_FLEET_ROOT/first", "systemctl enable --now x"))
    autoscaling.put_lifecycle_hook(
        AutoScalingGroupName="g",
        LifecycleHookName="launch",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
    )
    autoscaling.put_warm_pool(AutoScalingGroupName="g", MinSize=1, MaxGroupPreparedCapacity=0)
    machine = until(lambda: [m for m in cloud_process.machines() if m["failed_commands"] == 0])[0]
    first = Path(machine["root"], "first").read_text()
    assert target_state(machine) == "Warmed:Stopped"
    complete(cloud, machine)
    until(lambda: warm_states(cloud) == ["Warmed:Stopped"])
    assert cloud_process.switched_on() == []
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    again = until(lambda: [m for m in cloud_process.machines() if m["id"] == machine["id"]])[0]
    until(lambda: target_state(again) == "InService")
    until(lambda: any(m["units"].get("x.service") == "active" for m in cloud_process.machines()))
    assert Path(again["root"], "first").read_text() == first


def warm_states(cloud: Cloud) -> list[str]:
    found = cloud.api("autoscaling").describe_warm_pool(AutoScalingGroupName="g")["Instances"]
    return [instance["LifecycleState"] for instance in found]


def complete(cloud: Cloud, machine: dict[str, Any]) -> None:
    cloud.api("autoscaling").complete_lifecycle_action(
        AutoScalingGroupName="g",
        LifecycleHookName="launch",
        LifecycleActionResult="CONTINUE",
        InstanceId=machine["id"],
    )


def target_state(machine: dict[str, Any]) -> str | None:
    return metadata(machine, "autoscaling/target-lifecycle-state")


def metadata(machine: dict[str, Any], path: str) -> str | None:
    base = f"{metadata_url(machine['private_ip'])}/latest"
    with httpx.Client(trust_env=False) as http:
        try:
            token = http.put(f"{base}/api/token", headers={"x-aws-ec2-metadata-token-ttl-seconds": "60"}).text
            answer = http.get(f"{base}/meta-data/{path}", headers={"x-aws-ec2-metadata-token": token})
        except httpx.ConnectError:
            return None
    return answer.text if answer.status_code == httpx.codes.OK else None


def test_a_machine_is_told_of_its_interruption_and_shuts_down_in_its_own_time(cloud: Cloud) -> None:
    slow = "[Service]\nExecStart=/bin/sh -c 'trap \"sleep 2; exit 0\" TERM; while :; do sleep 0.1; done'\n"
    write = f"printf '%s' {base64.b64encode(slow.encode()).decode()} | base64 -d"
    launch_group(
        cloud, 1, user_data(f"{write} > $SGLANG_FLEET_ROOT/etc/systemd/system/y.service", "systemctl enable --now y")
    )
    machine = until(lambda: [m for m in cloud_process.machines() if m["units"].get("y.service") == "active"])[0]
    assert metadata(machine, "spot/instance-action") is None
    httpx.post(f"{CONTROL_URL}/spot-notice", json={"instance": machine["id"]}, trust_env=False).raise_for_status()
    assert json.loads(metadata(machine, "spot/instance-action") or "")["action"] == "terminate"
    ec2 = cloud.api("ec2")
    ec2.terminate_instances(InstanceIds=[machine["id"]])

    def state() -> str:
        found = ec2.describe_instances(InstanceIds=[machine["id"]])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    assert state() == "shutting-down"
    until(lambda: state() == "terminated")
    assert machine["id"] not in cloud_process.switched_on()


def test_a_fixed_address_can_be_used_again_by_a_replacement(cloud: Cloud) -> None:
    launch_group(cloud, 0, user_data())
    ec2 = cloud.api("ec2")
    subnet = next(s["SubnetId"] for s in ec2.describe_subnets()["Subnets"] if s["CidrBlock"] == "127.64.0.0/24")
    image = cloud.api("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]
    for _ in range(2):
        made = ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet, PrivateIpAddress="127.64.0.100"
        )
        assert made["Instances"][0]["PrivateIpAddress"] == "127.64.0.100"
        ec2.terminate_instances(InstanceIds=[made["Instances"][0]["InstanceId"]])


def test_an_action_that_moto_lacks_is_refused_at_once(cloud: Cloud) -> None:
    autoscaling = cloud.api("autoscaling")
    begun = time.monotonic()
    with pytest.raises(autoscaling.exceptions.ClientError) as caught:
        autoscaling.describe_account_limits()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert time.monotonic() - begun < 5


@pytest.mark.usefixtures("cloud")
def test_a_second_one_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    with pytest.raises(BusyError, match=r"a rehearsal is running already .* `fleet rehearse --down`"):
        cloud_process.claim(WorkFolder(tmp_path / "other"))


def test_a_versioned_bucket_behind_a_tls_only_policy_can_be_used_and_emptied(cloud: Cloud) -> None:
    s3 = cloud.api("s3")
    s3.create_bucket(Bucket="state")
    s3.put_bucket_versioning(Bucket="state", VersioningConfiguration={"Status": "Enabled"})
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::state", "arn:aws:s3:::state/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="state", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    for _ in range(2):
        s3.put_object(Bucket="state", Key="lock", Body=b"x")
        assert s3.get_object(Bucket="state", Key="lock")["Body"].read() == b"x"
        s3.delete_object(Bucket="state", Key="lock")
    listed = s3.list_object_versions(Bucket="state")
    entries = listed["Versions"] + listed["DeleteMarkers"]
    assert len(entries) == 4
    for entry in entries:
        s3.delete_objects(Bucket="state", Delete={"Objects": [{"Key": "lock", "VersionId": entry["VersionId"]}]})
    s3.delete_bucket(Bucket="state")


def test_a_nat_gateway_has_an_address_of_its_subnet_and_goes_without_a_trace(cloud: Cloud) -> None:
    ec2 = cloud.api("ec2")
    vpc = ec2.create_vpc(CidrBlock="127.64.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="127.64.9.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    before = take_inventory(REGION)
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert [interface["PrivateIpAddress"] for interface in interfaces] == ["127.64.9.4"]
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    assert take_inventory(REGION) == before


def test_an_instance_reads_back_as_it_was_launched(cloud: Cloud) -> None:
    launch_group(cloud, 0, user_data())
    ec2 = cloud.api("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["127.64.0.0/24"]}])["Subnets"][0][
        "SubnetId"
    ]
    group = ec2.describe_security_groups(GroupNames=["workers"])["SecurityGroups"][0]["GroupId"]
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet,
        "Groups": [group],
        "PrivateIpAddress": "127.64.0.100",
        "AssociatePublicIpAddress": False,
    }
    volume = {"VolumeType": "gp3", "VolumeSize": 30, "Iops": 4000, "Throughput": 250, "Encrypted": True}
    made = ec2.run_instances(
        ImageId=cloud.api("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"],
        MinCount=1,
        MaxCount=1,
        InstanceType="c7i.large",
        NetworkInterfaces=[interface],
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": volume}],
    )["Instances"][0]
    assert [found["GroupId"] for found in made["SecurityGroups"]] == [group]
    assert "Association" not in made["NetworkInterfaces"][0]
    found = ec2.describe_volumes()["Volumes"][0]
    assert {key: found[key] for key in ("Size", "Iops", "Throughput")} == {"Size": 30, "Iops": 4000, "Throughput": 250}
    monitored = ec2.monitor_instances(InstanceIds=[made["InstanceId"]])["InstanceMonitorings"]
    assert monitored[0]["Monitoring"] == {"State": "enabled"}
