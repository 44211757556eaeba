"""The router host(s): one with a fixed address, or several behind a load balancer that owns the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktf_cdktf_provider_aws.instance import Instance, InstanceMetadataOptions, InstanceRootBlockDevice
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule

from settings.naming import STACK_ROUTER
from stacks.alarm import MINUTE, Alarm, Condition, Series
from stacks.base import Deployment, FleetStack
from stacks.hosts import (
    METADATA_HOP_LIMIT,
    Account,
    HostVolume,
    encoded_user_data,
    host_security_group,
)
from stacks.iam import SESSION_MANAGER, Statement, instance_profile, read_parameter, write_logs, write_metrics
from stacks.router_balancer import RouterBalancer
from user_data import metrics

if TYPE_CHECKING:
    from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
    from cdktf_cdktf_provider_aws.security_group import SecurityGroup
    from constructs import Construct

    from stacks.images import HostImage
    from stacks.logs import LogsOutputs
    from stacks.network import NetworkOutputs
    from user_data.node_config import NodeConfig

FIND_WORKERS = Statement(
    sid="FindWorkers",
    actions=("autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"),
    any_resource="Describe actions have no resource-level permissions",
)

DOWN_MINUTES = 3  # systemd starts a router that ended again within seconds


@dataclass(frozen=True)
class RouterInputs:
    """Inputs of the router stack."""

    deployment: Deployment
    network: NetworkOutputs
    logs: LogsOutputs
    node: NodeConfig
    address: str
    port: int
    count: int
    instance_type: str
    image: HostImage
    volume: HostVolume
    allowed_cidrs: tuple[str, ...]
    tls_secret_arns: tuple[str, ...]


@dataclass(frozen=True)
class RouterOutputs:
    """Outputs of the router stack."""

    security_group_id: str


class RouterStack(FleetStack):
    """Its fixed private address survives replacement: clients and their configuration never change."""

    def __init__(self, scope: Construct, inputs: RouterInputs) -> None:
        super().__init__(scope, STACK_ROUTER, inputs.deployment)
        self._inputs = inputs
        group = self._security_group()
        hosts = self._hosts(group, self._instance_profile())
        if inputs.count > 1:
            self._balancer(hosts)
        for index, host in enumerate(hosts):
            self._recovery_alarm(index, host)
        self._down_alarm()
        self.outputs = RouterOutputs(security_group_id=group.id)
        scheme = "https" if inputs.tls_secret_arns else "http"
        self.output("router_url", f"{scheme}://{inputs.address}:{inputs.port}", "Where clients send requests")
        self.output("router_instance_ids", ",".join(host.id for host in hosts), "Router host(s)")

    def _security_group(self) -> SecurityGroup:
        group = host_security_group(self, self._inputs.network.vpc_id, "Router hosts")
        for index, cidr in enumerate((self._inputs.network.vpc_cidr, *self._inputs.allowed_cidrs)):
            VpcSecurityGroupIngressRule(
                self,
                f"clients-{index}",
                security_group_id=group.id,
                description="Clients of the deployment",
                ip_protocol="tcp",
                from_port=self._inputs.port,
                to_port=self._inputs.port,
                cidr_ipv4=cidr,
            )
        return group

    def _instance_profile(self) -> IamInstanceProfile:
        node = self._inputs.node
        statements = [
            FIND_WORKERS,
            SESSION_MANAGER,
            write_logs(self._inputs.logs.group_arn(self.stack)),
            write_metrics(node.logs.metrics_namespace),
        ]
        if node.api_key_parameter:
            statements.append(read_parameter(Account.of(self).parameter(node.api_key_parameter)))
        if self._inputs.tls_secret_arns:
            action = ("secretsmanager:GetSecretValue",)
            statements.append(Statement("ReadCertificate", action, self._inputs.tls_secret_arns))
        return instance_profile(self, self.resource_name(self.stack), *statements)

    def _hosts(self, group: SecurityGroup, profile: IamInstanceProfile) -> tuple[Instance, ...]:
        image = self._inputs.image.resolve(self)
        user_data = encoded_user_data(self, self._inputs.node)
        return tuple(self._host(index, group, profile, image, user_data) for index in range(self._inputs.count))

    def _host(
        self, index: int, group: SecurityGroup, profile: IamInstanceProfile, image: str, user_data: str
    ) -> Instance:
        subnets = self._inputs.network.private_subnet_ids
        alone = self._inputs.count == 1
        return Instance(
            self,
            f"host-{index}",
            ami=image,
            instance_type=self._inputs.instance_type,
            subnet_id=subnets[index % len(subnets)],
            private_ip=self._inputs.address if alone else None,
            associate_public_ip_address=False,
            vpc_security_group_ids=[group.id],
            iam_instance_profile=profile.name,
            ebs_optimized=True,
            monitoring=True,
            user_data_base64=user_data,
            # The programs read their configuration at boot; a changed one needs a new host.
            user_data_replace_on_change=True,
            metadata_options=InstanceMetadataOptions(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=METADATA_HOP_LIMIT,
                instance_metadata_tags="disabled",
            ),
            root_block_device=self._root_volume(),
            tags={"Name": self.resource_name(self.stack, str(index))},
        )

    def _root_volume(self) -> InstanceRootBlockDevice:
        volume = self._inputs.volume
        return InstanceRootBlockDevice(
            volume_type="gp3",
            volume_size=volume.size_gib,
            iops=volume.iops,
            throughput=volume.throughput_mib,
            encrypted=True,
            delete_on_termination=True,
            tags=self.tags(Name=self.resource_name(self.stack)),
        )

    def _recovery_alarm(self, index: int, host: Instance) -> None:
        """When the hardware below the host fails, EC2 starts it elsewhere with the same address and volume."""
        CloudwatchMetricAlarm(
            self,
            f"recover-{index}",
            alarm_name=self.resource_name(self.stack, str(index), "recover"),
            alarm_description="The hardware below the router host failed: EC2 moves it, the address stays.",
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed_System",
            dimensions={"InstanceId": host.id},
            statistic="Maximum",
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            period=60,
            evaluation_periods=2,
            alarm_actions=[
                f"arn:aws:automate:{self.deployment.region}:ec2:recover",
                self._inputs.logs.alarm_topic_arn,
            ],
        )

    def _down_alarm(self) -> None:
        """On when the router does not answer, and when nobody says that it does any more.

        The second is the change to INSUFFICIENT_DATA, not missing data taken for a breach: an alarm begins in that
        state, so that it stays silent until the first router of a new deployment has been up.
        """
        router = metrics.ROUTER_UP
        dimensions = router.dimension_values(self.deployment.name, "")
        namespace = self._inputs.node.logs.metrics_namespace
        topic = self._inputs.logs.alarm_topic_arn
        Alarm(
            name=self.resource_name(self.stack, "down"),
            description="The router does not answer (ALARM), or its host tells nothing any more (INSUFFICIENT_DATA).",
            condition=Condition(1, MINUTE, DOWN_MINUTES, DOWN_MINUTES, "LessThanThreshold", "missing"),
            actions=(topic,),
            without_data=(topic,),
        ).on_metric(self, "down", Series("up", namespace, router.name, router.statistic, dimensions))

    def _balancer(self, hosts: tuple[Instance, ...]) -> None:
        RouterBalancer(
            self,
            "balancer",
            name=self.resource_name(self.stack),
            vpc_id=self._inputs.network.vpc_id,
            subnet_id=self._inputs.network.private_subnet_ids[0],
            address=self._inputs.address,
            port=self._inputs.port,
            tls=bool(self._inputs.tls_secret_arns),
            host_ids=tuple(host.id for host in hosts),
        )
