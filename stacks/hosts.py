"""What router and worker hosts have in common: image, user data, security group rules, instance metadata settings."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule

from stacks.network import ANYWHERE, HTTPS
from user_data.render import render_user_data

if TYPE_CHECKING:
    from stacks.base import FleetStack
    from user_data.node_config import NodeConfig

# The root device of Ubuntu images, which the bake starts from, and the device of the volume that it puts the model on.
ROOT_DEVICE = "/dev/sda1"
MODEL_DEVICE = "/dev/sdf"
METADATA_HOP_LIMIT = 1  # the programs run on the host itself; a container or a proxy must not reach the credentials


@dataclass(frozen=True)
class HostVolume:
    """Root volume: gp3, encrypted. Size in GiB, throughput in MiB/s."""

    size_gib: int
    iops: int
    throughput_mib: int


@dataclass(frozen=True)
class ModelVolume:
    """Volume with the weights: gp3, encrypted, of the snapshot that the image names, which gives its default size."""

    size_gib: int | None
    iops: int
    throughput_mib: int
    initialization_rate_mib: int


def host_security_group(stack: FleetStack, vpc_id: str, description: str) -> SecurityGroup:
    """A group that lets nothing in, and HTTPS out to the AWS services."""
    group = SecurityGroup(
        stack,
        "security-group",
        name=stack.resource_name(stack.stack),
        description=description,
        vpc_id=vpc_id,
        tags={"Name": stack.resource_name(stack.stack)},
    )
    VpcSecurityGroupEgressRule(
        stack,
        "https-out",
        security_group_id=group.id,
        description="AWS services, through NAT gateway or endpoints",
        ip_protocol="tcp",
        from_port=HTTPS,
        to_port=HTTPS,
        cidr_ipv4=ANYWHERE,
    )
    return group


@dataclass(frozen=True)
class Account:
    """Where the deployment is: known to Terraform, not to synth."""

    partition: str
    region: str
    account_id: str

    @classmethod
    def of(cls, stack: FleetStack) -> Account:
        """The account and region of a stack; once per stack."""
        account = DataAwsCallerIdentity(stack, "account").account_id
        partition = DataAwsPartition(stack, "partition").partition
        return cls(partition, stack.deployment.region, account)

    def arn(self, service: str, resource: str) -> str:
        """ARN of a resource of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def parameter(self, name: str) -> str:
        """ARN of an SSM parameter."""
        return self.arn("ssm", f"parameter{name}")


def encoded_user_data(stack: FleetStack, node: NodeConfig) -> str:
    """User data of the host, base64. Its content is an output too, so that a plan shows what changes in it."""
    as_text = node.model_dump_json(indent=1, exclude_none=True)
    stack.output("node_config", _literal(as_text), "What the hosts read at boot")
    return base64.b64encode(render_user_data(node).encode()).decode()


def _literal(text: str) -> str:
    """Text that Terraform shall not read as a template."""
    return text.replace("${", "$${").replace("%{", "%%{")
