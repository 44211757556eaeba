"""The emulated AWS in this process, and a group in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

pytest.importorskip("moto")

from rehearsal.emulated_aws.installation import install_extensions
from rehearsal.emulated_aws.scaling_groups import WORLD
from rehearsal.emulated_aws.server import ApiServer
from tests.rehearsal.alarms.api.support import (
    HOST,
    PORT,
    Site,
    boundary,
    client,
    now,
    to,
)

NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    install_extensions()
    made = ApiServer(HOST, PORT)
    made.start()
    yield
    made.stop()


@pytest.fixture
def site(server: None) -> Iterator[Site]:  # noqa: ARG001 - it has to run
    """A group of 2 of at most 8 that scales by itself; each test has hours of its own, so that no data is another's."""
    aws, ec2, watch = client("autoscaling"), client("ec2"), client("cloudwatch")
    number = next(NUMBERS)
    name = f"alarmed-{number}"
    to(now() + timedelta(hours=8 * number))
    to(boundary(60))
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "g6e.xlarge"}
    )
    aws.create_auto_scaling_group(
        AutoScalingGroupName=name,
        VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
        MinSize=1,
        MaxSize=8,
        DesiredCapacity=2,
        HealthCheckGracePeriod=0,
    )
    made = Site(name, aws, watch)
    made.run(60)
    yield made
    aws.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    left = [alarm["AlarmName"] for alarm in watch.describe_alarms()["MetricAlarms"]]
    watch.delete_alarms(AlarmNames=[alarm for alarm in left if alarm.startswith(name)])
    WORLD.clock.ahead = timedelta()  # other tests of this process share the clock
