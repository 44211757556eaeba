"""What an account holds, kind by kind, so that two looks show what a destroy left behind.

Not by name or tag: a resource that nobody named is exactly the one to find.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore.config import Config

from rehearsal.emulated_aws.faults import REHEARSAL_AGENT
from rehearsal.places import ACCOUNT_ID, API_URL

CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"max_attempts": 2, "mode": "standard"},
    user_agent_extra=REHEARSAL_AGENT,
)


@dataclass(frozen=True)
class Kind:
    """One kind of resource: the call that lists it and where the ids are in the answer (JMESPath)."""

    name: str
    service: str
    operation: str
    ids: str
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, object]:
        """Arguments of the call."""
        filters = [{"Name": name, "Values": [value]} for name, value in self.filters.items()]
        return {"Filters": filters} if filters else {}


KINDS = (
    # The account's own: public images are not what a deployment makes, and there are more than a thousand.
    Kind("image", "ec2", "describe_images", "Images[].ImageId", {"owner-id": ACCOUNT_ID}),
    Kind("snapshot", "ec2", "describe_snapshots", "Snapshots[].SnapshotId", {"owner-id": ACCOUNT_ID}),
    Kind("instance", "ec2", "describe_instances", "Reservations[].Instances[?State.Name!='terminated'][].InstanceId"),
    Kind("volume", "ec2", "describe_volumes", "Volumes[].VolumeId"),
    Kind("network interface", "ec2", "describe_network_interfaces", "NetworkInterfaces[].NetworkInterfaceId"),
    Kind("elastic address", "ec2", "describe_addresses", "Addresses[].AllocationId"),
    Kind("vpc", "ec2", "describe_vpcs", "Vpcs[].VpcId"),
    Kind("subnet", "ec2", "describe_subnets", "Subnets[].SubnetId"),
    Kind("route table", "ec2", "describe_route_tables", "RouteTables[].RouteTableId"),
    Kind("internet gateway", "ec2", "describe_internet_gateways", "InternetGateways[].InternetGatewayId"),
    Kind("nat gateway", "ec2", "describe_nat_gateways", "NatGateways[?State!='deleted'].NatGatewayId"),
    Kind("vpc endpoint", "ec2", "describe_vpc_endpoints", "VpcEndpoints[?State!='deleted'].VpcEndpointId"),
    Kind("security group", "ec2", "describe_security_groups", "SecurityGroups[].GroupId"),
    Kind("flow log", "ec2", "describe_flow_logs", "FlowLogs[].FlowLogId"),
    Kind("launch template", "ec2", "describe_launch_templates", "LaunchTemplates[].LaunchTemplateId"),
    Kind("key pair", "ec2", "describe_key_pairs", "KeyPairs[].KeyPairId"),
    Kind(
        "auto scaling group", "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups[].AutoScalingGroupName"
    ),
    Kind("scaling policy", "autoscaling", "describe_policies", "ScalingPolicies[].PolicyName"),
    Kind(
        "scheduled action",
        "autoscaling",
        "describe_scheduled_actions",
        "ScheduledUpdateGroupActions[].ScheduledActionName",
    ),
    Kind("load balancer", "elbv2", "describe_load_balancers", "LoadBalancers[].LoadBalancerArn"),
    Kind("target group", "elbv2", "describe_target_groups", "TargetGroups[].TargetGroupArn"),
    Kind("log group", "logs", "describe_log_groups", "logGroups[].logGroupName"),
    Kind("metric filter", "logs", "describe_metric_filters", "metricFilters[].filterName"),
    Kind("saved query", "logs", "describe_query_definitions", "queryDefinitions[].name"),
    Kind("alarm", "cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    Kind("dashboard", "cloudwatch", "list_dashboards", "DashboardEntries[].DashboardName"),
    Kind("topic", "sns", "list_topics", "Topics[].TopicArn"),
    Kind("queue", "sqs", "list_queues", "QueueUrls[]"),
    Kind("event rule", "events", "list_rules", "Rules[].Name"),
    Kind("role", "iam", "list_roles", "Roles[].RoleName"),
    Kind("instance profile", "iam", "list_instance_profiles", "InstanceProfiles[].InstanceProfileName"),
    Kind("customer policy", "iam", "list_policies", "Policies[?!starts_with(Arn, 'arn:aws:iam::aws:')].Arn"),
    Kind("bucket", "s3", "list_buckets", "Buckets[].Name"),
    Kind("parameter", "ssm", "describe_parameters", "Parameters[].Name"),
    Kind("secret", "secretsmanager", "list_secrets", "SecretList[].ARN"),
)


@dataclass(frozen=True, order=True)
class Resource:
    """One thing an account holds."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def clients(region: str) -> boto3.Session:
    """A session that can only reach the emulated AWS: dummy credentials, none of the machine's own."""
    return boto3.Session(aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal", region_name=region)  # noqa: S106 - a dummy


def client(session: boto3.Session, service: str) -> Any:  # noqa: ANN401 - one of many client types
    """A client of the emulated AWS that meets none of the faults a scenario orders."""
    return session.client(service, endpoint_url=API_URL, config=CONFIG)  # type: ignore[call-overload]


def _pages(api: Any, kind: Kind) -> Iterable[Any]:  # noqa: ANN401 - one of many client types
    if api.can_paginate(kind.operation):
        return api.get_paginator(kind.operation).paginate(**kind.arguments)  # type: ignore[no-any-return]
    return (getattr(api, kind.operation)(**kind.arguments),)


def take_inventory(region: str) -> frozenset[Resource]:
    """Everything of every kind that the account holds in a region (and globally).

    Raises:
        botocore.exceptions.ClientError: a call failed; an inventory with holes would be worth nothing.
    """
    session = clients(region)
    apis = {service: client(session, service) for service in sorted({kind.service for kind in KINDS})}
    found: set[Resource] = set()
    for kind in KINDS:
        for page in _pages(apis[kind.service], kind):
            found.update(Resource(kind.name, identifier) for identifier in jmespath.search(kind.ids, page) or ())
    return frozenset(found)


def left_behind(before: frozenset[Resource], after: frozenset[Resource]) -> tuple[Resource, ...]:
    """What is there now and was not before, in order of kind."""
    return tuple(sorted(after - before))


def read_parameter(region: str, name: str) -> str:
    """Value of an SSM parameter, decrypted.

    Raises:
        botocore.exceptions.ClientError: there is none.
    """
    answer = client(clients(region), "ssm").get_parameter(Name=name, WithDecryption=True)
    return str(answer["Parameter"]["Value"])


def delete_parameter(region: str, name: str) -> None:
    """Delete an SSM parameter that was made outside Terraform.

    Raises:
        botocore.exceptions.ClientError: there is none.
    """
    client(clients(region), "ssm").delete_parameter(Name=name)
