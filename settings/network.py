"""Network, state, log and access settings."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from settings.base import Cidr, Section

# CloudWatch Logs accepts only these retention periods, in days (API reference, PutRetentionPolicy).
RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
AvailabilityZone = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$"), Field(examples=["us-east-1a"])
]
BucketName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"), Field(examples=["my-company-sglang-state"])
]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$"), Field(examples=["ops@example.com"])]
ParameterName = Annotated[
    str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]{1,1010}$"), Field(examples=["/sglang-fleet/sglang/api-key"])
]
InterfaceService = Literal[
    "autoscaling", "ec2", "ec2messages", "logs", "monitoring", "secretsmanager", "ssm", "ssmmessages", "sts"
]


class NetworkSettings(Section):
    """The deployment's own VPC."""

    vpc_cidr: Cidr = Field(default=IPv4Network("10.0.0.0/16"), description="Address block of the VPC, /16 to /20.")
    availability_zones: tuple[AvailabilityZone, ...] = Field(
        default=(), description="Zones to use, two or more; empty means zones a and b of the region."
    )
    private_subnets: tuple[Cidr, ...] = Field(
        default=(),
        description="One block per zone, for router and workers; empty means they are cut from the VPC's block.",
    )
    public_subnets: tuple[Cidr, ...] = Field(
        default=(), description="One block per zone, for NAT gateways; empty means they are cut from the VPC's block."
    )
    nat: Literal["single", "per_az", "none"] = Field(
        default="single",
        description="NAT gateways: one for all zones, one per zone, or none (then interface endpoints are needed).",
    )
    interface_endpoints: tuple[InterfaceService, ...] = Field(
        default=(), description="AWS services reached through private endpoints in the VPC instead of the NAT gateway."
    )
    flow_logs: bool = Field(default=True, description="Record accepted and rejected connections in CloudWatch Logs.")


class StateSettings(Section):
    """The S3 bucket that holds the Terraform state of all other stacks."""

    bucket: BucketName | None = Field(
        default=None, description="Bucket name; S3 names are global. Default: sglang-fleet-state-NAME-[ACCOUNT-]REGION."
    )
    force_destroy: bool = Field(
        default=False,
        description="Let destroy delete a bucket that still holds state. Only for throw-away deployments.",
    )


class LogSettings(Section):
    """CloudWatch Logs and metrics."""

    retention_days: RetentionDays = Field(default=30, description="Days after which CloudWatch deletes log events.")
    metrics_namespace: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/#-]{1,255}$")] = Field(
        default="SGLangFleet", description="CloudWatch namespace of the fleet's own metrics."
    )
    alarm_email: Email | None = Field(
        default=None, description="Address that alarms are sent to; it must confirm the subscription once."
    )


class AccessSettings(Section):
    """Who may reach the router, and with which key."""

    allowed_cidrs: tuple[Cidr, ...] = Field(
        default=(), description="Address blocks besides the VPC that may reach the router's port (a peered VPC, a VPN)."
    )
    api_key: bool = Field(default=True, description="Require `Authorization: Bearer KEY` on router and engines.")
    api_key_parameter: ParameterName | None = Field(
        default=None,
        description="SSM SecureString with the key. Default: /sglang-fleet/NAME/api-key, made by `fleet init`.",
    )
