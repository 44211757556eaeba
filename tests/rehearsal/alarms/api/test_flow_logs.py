"""Flow logs of the emulated AWS, through boto3, against the emulated AWS in this process."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

pytest.importorskip("moto")

from rehearsal.emulated_aws.scaling_groups import tick
from tests.rehearsal.alarms.api.support import REGION, Site, boundary, client, to

pytestmark = pytest.mark.slow  # importing moto takes two seconds


def test_a_logged_vpc_has_a_record_of_each_interface_every_minute(site: Site) -> None:
    logs, ec2 = client("logs"), client("ec2")
    logs.create_log_group(logGroupName="/flows")
    arn = logs.describe_log_groups(logGroupNamePrefix="/flows")["logGroups"][0]["arn"]
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    made = ec2.run_instances(ImageId="ami-12c6146b", SubnetId=subnet, MinCount=1, MaxCount=1)["Instances"][0]
    ours = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
    flows = ec2.create_flow_logs(
        ResourceType="VPC",
        ResourceIds=[vpc],
        TrafficType="ALL",
        LogDestination=arn,
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flows",
    )
    to(datetime.now(UTC))  # moto takes no line that is hours ahead of its own clock
    for _ in range(3):
        to(boundary(60))
        tick(REGION)
    streams = logs.describe_log_streams(logGroupName="/flows")["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == [f"{ours}-all"], "and none of the group's own VPC"
    events = logs.get_log_events(logGroupName="/flows", logStreamName=f"{ours}-all", startFromHead=True)["events"]
    assert len(events) == 2, "none before the first whole minute"
    fields = events[0]["message"].split()
    assert (fields[0], fields[2], fields[-1], len(fields)) == ("2", ours, "SKIPDATA", 14)
    assert int(fields[11]) - int(fields[10]) == 60
    logs.delete_log_group(logGroupName="/flows")
    to(boundary(60))
    tick(REGION)  # records for a group that is gone are dropped
    ec2.delete_flow_logs(FlowLogIds=flows["FlowLogIds"])
    assert site.group(), "the group next door goes on"
