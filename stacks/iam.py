"""IAM roles of hosts, and policies in which every `*` resource carries its reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy

if TYPE_CHECKING:
    from constructs import Construct

POLICY_VERSION = "2012-10-17"  # the policy language's version, not a date of ours


@dataclass(frozen=True)
class Statement:
    """One Allow statement. `any_resource` is the reason why it cannot name its resources; it is required for `*`."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    any_resource: str = ""
    condition: tuple[str, str, str] | None = None  # operator, key, value

    def __post_init__(self) -> None:
        if bool(self.resources) == bool(self.any_resource):
            raise ValueError(f"statement {self.sid}: give either its resources or the reason why it has none")
        if any("*" in action for action in self.actions):
            raise ValueError(f"statement {self.sid}: name the actions; wildcards hide what is allowed")

    def as_json(self) -> dict[str, Any]:
        """The statement in the policy language."""
        statement: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources) or "*",
        }
        if self.condition:
            operator, key, value = self.condition
            statement["Condition"] = {operator: {key: value}}
        return statement


def policy_json(*statements: Statement) -> str:
    """A policy document."""
    return json.dumps({"Version": POLICY_VERSION, "Statement": [statement.as_json() for statement in statements]})


def trust_policy(service: str) -> str:
    """The document that lets an AWS service take on a role."""
    principal = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": POLICY_VERSION, "Statement": [principal]})


def service_role(scope: Construct, name: str, service: str, *statements: Statement) -> IamRole:
    """A role for an AWS service with one inline policy."""
    role = IamRole(scope, "role", name=name, assume_role_policy=trust_policy(service))
    IamRolePolicy(scope, "role-policy", name=name, role=role.name, policy=policy_json(*statements))
    return role


def instance_profile(scope: Construct, name: str, *statements: Statement) -> IamInstanceProfile:
    """The instance profile of a host, with a role of the same name."""
    role = service_role(scope, name, "ec2.amazonaws.com", *statements)
    return IamInstanceProfile(scope, "instance-profile", name=name, role=role.name)


# What the SSM agent calls (Systems Manager user guide, "Additional policy for Session Manager"). The managed policy
# AmazonSSMManagedInstanceCore would also grant ssm:GetParameter on every parameter of the account.
SESSION_MANAGER = Statement(
    sid="SessionManager",
    actions=(
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ),
    any_resource="Session Manager's channel actions have no resource-level permissions",
)


def write_metrics(namespace: str) -> Statement:
    """Publish metrics in one namespace."""
    return Statement(
        sid="WriteMetrics",
        actions=("cloudwatch:PutMetricData",),
        any_resource="PutMetricData has no resource-level permissions; the condition limits it to one namespace",
        condition=("StringEquals", "cloudwatch:namespace", namespace),
    )


def write_logs(group_arn: str) -> Statement:
    """Write to the streams of one log group."""
    return Statement(
        sid="WriteLogs",
        actions=("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        resources=(group_arn, f"{group_arn}:log-stream:*"),
    )


def read_parameter(arn: str) -> Statement:
    """Read one SSM parameter (a SecureString under the account's default key needs nothing more)."""
    return Statement(sid="ReadApiKey", actions=("ssm:GetParameter",), resources=(arn,))
