"""What of a deployment is still there, found by its tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from user_data.node_config import TAG_DEPLOYMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mypy_boto3_ec2 import EC2Client

    from settings.model import Settings

# The tagging service goes on listing these for about an hour after they are gone (EC2 user guide, "Terminate an
# instance"; VPC user guide, "Delete a NAT gateway"), so EC2 itself is asked.
GONE_INSTANCE = "terminated"
GONE_NAT = ("deleted", "deleting")


def left_of(settings: Settings) -> tuple[str, ...]:
    """ARNs of everything that carries the deployment's tag and exists."""
    arns = _tagged(settings)
    ec2 = boto3.client("ec2", region_name=settings.region)
    still: Mapping[str, Callable[[EC2Client, tuple[str, ...]], set[str]]] = {
        "instance": _instances,
        "natgateway": _nat_gateways,
    }
    for kind, existing in still.items():
        named = {arn: arn.rsplit("/", 1)[-1] for arn in arns if f":{kind}/" in arn}
        there = existing(ec2, tuple(named.values())) if named else set()
        arns = tuple(arn for arn in arns if arn not in named or named[arn] in there)
    return arns


def _tagged(settings: Settings) -> tuple[str, ...]:
    tagging = boto3.client("resourcegroupstaggingapi", region_name=settings.region)
    wanted = [{"Key": TAG_DEPLOYMENT, "Values": [settings.name]}]
    pages = tagging.get_paginator("get_resources").paginate(TagFilters=wanted)
    return tuple(resource["ResourceARN"] for page in pages for resource in page["ResourceTagMappingList"])


def _instances(ec2: EC2Client, ids: Iterable[str]) -> set[str]:
    filters = [{"Name": "instance-id", "Values": list(ids)}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)  # type: ignore[arg-type]
    found = (instance for page in pages for group in page["Reservations"] for instance in group["Instances"])
    return {instance["InstanceId"] for instance in found if instance["State"]["Name"] != GONE_INSTANCE}


def _nat_gateways(ec2: EC2Client, ids: Iterable[str]) -> set[str]:
    return {gateway for name in ids for gateway in _existing_nat_gateway(ec2, name)}


def _existing_nat_gateway(ec2: EC2Client, name: str) -> Iterator[str]:
    try:
        gateways = ec2.describe_nat_gateways(NatGatewayIds=[name])["NatGateways"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NatGatewayNotFound":
            raise
        return
    yield from (name for gateway in gateways if gateway["State"] not in GONE_NAT)
