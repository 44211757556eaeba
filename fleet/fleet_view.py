"""What AWS says of a deployment at one moment, typed: router hosts, pools, their instances, what the groups did.

Groups and router hosts are found by the deployment's tag, so that a pool that the settings no longer have shows too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from settings.naming import STACK_ROUTER
from user_data.node_config import TAG_DEPLOYMENT, TAG_ENGINE_PORT, TAG_POOL, TAG_STACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import ActivityTypeDef, AutoScalingGroupTypeDef, InstanceTypeDef
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef as Ec2InstanceTypeDef

    from settings.model import Settings

# Somebody waits for the answer: an endpoint that is not there has to be told in seconds.
LOOKING = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
IDS_PER_CALL = 200  # EC2 API, DescribeInstances: the most values a filter takes
ACTIVITIES = 1000  # ten calls: a group that fails to launch writes one down every few seconds, for six weeks
ALIVE = ["pending", "running", "stopping", "stopped"]
INSTANCE_ID = re.compile(r"\bi-[0-9a-f]{8,17}\b")
IN_SERVICE, FAILED, CANCELLED, SUCCESSFUL = "InService", "Failed", "Cancelled", "Successful"
RESTING = frozenset({"Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated"})


class NotFoundError(Exception):
    """AWS knows nothing of what was asked for."""


@dataclass(frozen=True)
class Activity:
    """One scaling activity. `message` is AWS's reason, `instance_id` the instance it is about, when it got one."""

    description: str
    cause: str
    status: str
    message: str | None
    zone: str | None
    start: datetime
    end: datetime | None
    instance_id: str | None

    @property
    def launches(self) -> bool:
        """It brings an instance in; else it takes one out."""
        return self.description.startswith("Launching")


@dataclass(frozen=True)
class Worker:
    """One instance of a group or of its warm pool; `url` is where its engine answers."""

    instance_id: str
    zone: str
    instance_type: str
    state: str
    healthy: bool
    address: str | None
    url: str | None
    launched: datetime | None

    @property
    def serves(self) -> bool:
        """The group counts it as serving."""
        return self.state == IN_SERVICE and self.healthy

    @property
    def rests(self) -> bool:
        """It waits in the warm pool, as it should."""
        return self.state in RESTING


@dataclass(frozen=True)
class Pool:
    """One pool's group; `activities` newest first."""

    name: str
    group: str
    min_size: int
    desired: int
    max_size: int
    workers: tuple[Worker, ...]
    activities: tuple[Activity, ...] = ()

    @property
    def in_service(self) -> int:
        """Workers that serve."""
        return sum(worker.serves for worker in self.workers)

    def count(self, *beginnings: str) -> int:
        """Workers whose state begins so."""
        return sum(worker.state.startswith(beginnings) for worker in self.workers)


@dataclass(frozen=True)
class RouterHost:
    """One router host."""

    instance_id: str
    address: str | None
    state: str
    launched: datetime


@dataclass(frozen=True)
class FleetView:
    """One deployment."""

    deployment: str
    region: str
    routers: tuple[RouterHost, ...]
    pools: tuple[Pool, ...]

    @property
    def complete(self) -> bool:
        """Every pool has the workers that its group wants."""
        return all(pool.in_service >= pool.desired for pool in self.pools)


def read_fleet(settings: Settings, since: datetime) -> FleetView:
    """Ask AWS, with activities that began after `since` or are not over.

    Raises:
        NotFoundError: nothing carries the deployment's tag.
        ClientError: AWS refused.
        BotoCoreError: AWS cannot be reached.
    """
    autoscaling = boto3.client("autoscaling", region_name=settings.region, config=LOOKING)
    ec2 = boto3.client("ec2", region_name=settings.region, config=LOOKING)
    groups = tuple(_groups(autoscaling, settings.name))
    routers = _routers(ec2, settings.name)
    if not groups and not routers:
        raise NotFoundError(
            f"deployment {settings.name!r} in {settings.region}: neither workers nor router are there; deploy it with "
            "`cdktf deploy '*'`, or name another environment file with --environment"
        )
    pools = tuple(_pool(autoscaling, ec2, group, since) for group in groups)
    return FleetView(settings.name, settings.region, routers, tuple(sorted(pools, key=lambda pool: pool.name)))


def read_activities(autoscaling: AutoScalingClient, group: str, since: datetime) -> tuple[Activity, ...]:
    """Activities of a group, newest first, back to `since`, at most ACTIVITIES."""
    pages = autoscaling.get_paginator("describe_scaling_activities").paginate(
        AutoScalingGroupName=group, PaginationConfig={"MaxItems": ACTIVITIES}
    )
    found = (_activity(activity) for page in pages for activity in page["Activities"])
    # AWS lists them newest first (API_DescribeScalingActivities), so the rest need not be asked for.
    return tuple(takewhile(lambda activity: activity.end is None or activity.start >= since, found))


def _groups(autoscaling: AutoScalingClient, deployment: str) -> Iterator[AutoScalingGroupTypeDef]:
    pages = autoscaling.get_paginator("describe_auto_scaling_groups").paginate(
        Filters=[{"Name": f"tag:{TAG_DEPLOYMENT}", "Values": [deployment]}]
    )
    for page in pages:
        yield from page["AutoScalingGroups"]


def _pool(autoscaling: AutoScalingClient, ec2: EC2Client, group: AutoScalingGroupTypeDef, since: datetime) -> Pool:
    name = group["AutoScalingGroupName"]
    tags = {tag["Key"]: tag.get("Value", "") for tag in group.get("Tags", [])}
    warm = autoscaling.get_paginator("describe_warm_pool").paginate(AutoScalingGroupName=name)
    members = [*group.get("Instances", []), *(instance for page in warm for instance in page["Instances"])]
    hosts = _hosts(ec2, [member["InstanceId"] for member in members])
    port = tags.get(TAG_ENGINE_PORT)
    return Pool(
        name=tags.get(TAG_POOL, name),
        group=name,
        min_size=group["MinSize"],
        desired=group["DesiredCapacity"],
        max_size=group["MaxSize"],
        workers=tuple(_worker(member, hosts.get(member["InstanceId"]), port) for member in members),
        activities=read_activities(autoscaling, name, since),
    )


def _worker(member: InstanceTypeDef, host: Ec2InstanceTypeDef | None, port: str | None) -> Worker:
    address = host.get("PrivateIpAddress") if host else None
    return Worker(
        instance_id=member["InstanceId"],
        zone=member["AvailabilityZone"],
        instance_type=host.get("InstanceType", "") if host else member.get("InstanceType", ""),
        state=member["LifecycleState"],
        healthy=member["HealthStatus"].casefold() == "healthy",
        address=address,
        url=f"http://{address}:{port}" if address and port else None,
        launched=host.get("LaunchTime") if host else None,
    )


def _activity(given: ActivityTypeDef) -> Activity:
    named = INSTANCE_ID.search(given.get("Description", ""))
    details: object = json.loads(given.get("Details") or "{}")
    zone = details.get("Availability Zone") if isinstance(details, dict) else None
    return Activity(
        description=given.get("Description", ""),
        cause=given["Cause"],
        status=given["StatusCode"],
        message=given.get("StatusMessage"),
        zone=str(zone) if zone else None,
        start=given["StartTime"],
        end=given.get("EndTime"),
        instance_id=named.group() if named else None,
    )


def _routers(ec2: EC2Client, deployment: str) -> tuple[RouterHost, ...]:
    wanted = {f"tag:{TAG_DEPLOYMENT}": [deployment], f"tag:{TAG_STACK}": [STACK_ROUTER], "instance-state-name": ALIVE}
    found = (
        RouterHost(host["InstanceId"], host.get("PrivateIpAddress"), host["State"]["Name"], host["LaunchTime"])
        for host in _described(ec2, wanted)
    )
    return tuple(sorted(found, key=lambda host: host.launched))


def _hosts(ec2: EC2Client, ids: list[str]) -> dict[str, Ec2InstanceTypeDef]:
    # A filter, not InstanceIds: one id that EC2 does not know any more would fail the call for all.
    batches = (ids[start : start + IDS_PER_CALL] for start in range(0, len(ids), IDS_PER_CALL))
    return {host["InstanceId"]: host for batch in batches for host in _described(ec2, {"instance-id": batch})}


def _described(ec2: EC2Client, wanted: dict[str, list[str]]) -> Iterable[Ec2InstanceTypeDef]:
    filters = [{"Name": name, "Values": values} for name, values in wanted.items()]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)  # type: ignore[arg-type]
    return (host for page in pages for group in page["Reservations"] for host in group["Instances"])
