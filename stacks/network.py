"""The VPC: private subnets for hosts, public ones for NAT gateways only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cdktf_cdktf_provider_aws.default_security_group import DefaultSecurityGroup
from cdktf_cdktf_provider_aws.eip import Eip
from cdktf_cdktf_provider_aws.flow_log import FlowLog
from cdktf_cdktf_provider_aws.internet_gateway import InternetGateway
from cdktf_cdktf_provider_aws.nat_gateway import NatGateway
from cdktf_cdktf_provider_aws.route import Route
from cdktf_cdktf_provider_aws.route_table import RouteTable
from cdktf_cdktf_provider_aws.route_table_association import RouteTableAssociation
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.subnet import Subnet
from cdktf_cdktf_provider_aws.vpc import Vpc
from cdktf_cdktf_provider_aws.vpc_endpoint import VpcEndpoint
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule

from settings.naming import STACK_NETWORK
from stacks.base import Deployment, FleetStack
from stacks.iam import Statement, service_role

if TYPE_CHECKING:
    from constructs import Construct

ANYWHERE = "0.0.0.0/0"
HTTPS = 443


@dataclass(frozen=True)
class Zone:
    """One availability zone and its two subnets."""

    name: str
    private_cidr: str
    public_cidr: str


@dataclass(frozen=True)
class NetworkInputs:
    """Inputs of the network stack."""

    deployment: Deployment
    vpc_cidr: str
    zones: tuple[Zone, ...]
    nat: Literal["single", "per_az", "none"]
    interface_endpoints: tuple[str, ...]
    flow_log_group_arn: str | None


@dataclass(frozen=True)
class NetworkOutputs:
    """Outputs of the network stack; subnets in the order of the zones."""

    vpc_id: str
    vpc_cidr: str
    private_subnet_ids: tuple[str, ...]


class NetworkStack(FleetStack):
    """Hosts have no public address; they reach AWS through NAT gateways or endpoints."""

    def __init__(self, scope: Construct, inputs: NetworkInputs) -> None:
        super().__init__(scope, STACK_NETWORK, inputs.deployment)
        self._inputs = inputs
        vpc = self._vpc()
        private = tuple(self._private_subnet(vpc, zone) for zone in inputs.zones)
        tables = tuple(self._route_table(vpc, zone, subnet) for zone, subnet in zip(inputs.zones, private, strict=True))
        if inputs.nat != "none":
            self._nat(vpc, tables)
        self._s3_endpoint(vpc, tables)
        if inputs.interface_endpoints:
            self._interface_endpoints(vpc, private)
        if inputs.flow_log_group_arn:
            self._flow_log(vpc, inputs.flow_log_group_arn)
        self.outputs = NetworkOutputs(vpc.id, inputs.vpc_cidr, tuple(subnet.id for subnet in private))
        self.output("vpc_id", vpc.id, "VPC of the deployment")

    def _vpc(self) -> Vpc:
        vpc = Vpc(
            self,
            "vpc",
            cidr_block=self._inputs.vpc_cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": self.deployment.name},
        )
        # Taken over without rules, so that nothing can be reached through it by accident.
        DefaultSecurityGroup(self, "default-security-group", vpc_id=vpc.id)
        return vpc

    def _private_subnet(self, vpc: Vpc, zone: Zone) -> Subnet:
        name = self.resource_name("private", zone.name)
        return Subnet(
            self,
            f"private-{zone.name}",
            vpc_id=vpc.id,
            availability_zone=zone.name,
            cidr_block=zone.private_cidr,
            map_public_ip_on_launch=False,
            tags={"Name": name},
        )

    def _route_table(self, vpc: Vpc, zone: Zone, subnet: Subnet) -> RouteTable:
        table = RouteTable(
            self, f"private-routes-{zone.name}", vpc_id=vpc.id, tags={"Name": self.resource_name("private", zone.name)}
        )
        RouteTableAssociation(self, f"private-{zone.name}-routes", subnet_id=subnet.id, route_table_id=table.id)
        return table

    def _nat(self, vpc: Vpc, tables: tuple[RouteTable, ...]) -> None:
        """A gateway per zone, or the first zone's for all: cheaper, but that zone's failure takes the way out along."""
        internet = InternetGateway(self, "internet-gateway", vpc_id=vpc.id, tags={"Name": self.deployment.name})
        public = RouteTable(self, "public-routes", vpc_id=vpc.id, tags={"Name": self.resource_name("public")})
        Route(
            self,
            "public-default",
            route_table_id=public.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=internet.id,
        )
        zones = self._inputs.zones if self._inputs.nat == "per_az" else self._inputs.zones[:1]
        gateways = [self._nat_gateway(vpc, zone, public, internet) for zone in zones]
        for index, (zone, table) in enumerate(zip(self._inputs.zones, tables, strict=True)):
            Route(
                self,
                f"private-default-{zone.name}",
                route_table_id=table.id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=gateways[min(index, len(gateways) - 1)].id,
            )

    def _nat_gateway(self, vpc: Vpc, zone: Zone, routes: RouteTable, internet: InternetGateway) -> NatGateway:
        name = self.resource_name("public", zone.name)
        subnet = Subnet(
            self,
            f"public-{zone.name}",
            vpc_id=vpc.id,
            availability_zone=zone.name,
            cidr_block=zone.public_cidr,
            map_public_ip_on_launch=False,
            tags={"Name": name},
        )
        RouteTableAssociation(self, f"public-{zone.name}-routes", subnet_id=subnet.id, route_table_id=routes.id)
        address = Eip(self, f"nat-address-{zone.name}", domain="vpc", tags={"Name": name})
        return NatGateway(
            self,
            f"nat-{zone.name}",
            subnet_id=subnet.id,
            allocation_id=address.id,
            tags={"Name": name},
            depends_on=[internet],
        )

    def _s3_endpoint(self, vpc: Vpc, tables: tuple[RouteTable, ...]) -> None:
        """A gateway endpoint costs nothing, and model files do not pay the NAT gateway's price per GB."""
        VpcEndpoint(
            self,
            "s3-endpoint",
            vpc_id=vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{self.deployment.region}.s3",
            route_table_ids=[table.id for table in tables],
            tags={"Name": self.resource_name("s3")},
        )

    def _interface_endpoints(self, vpc: Vpc, private: tuple[Subnet, ...]) -> None:
        group = SecurityGroup(
            self,
            "endpoints-security-group",
            name=self.resource_name("endpoints"),
            description="Private endpoints of AWS services",
            vpc_id=vpc.id,
        )
        VpcSecurityGroupIngressRule(
            self,
            "endpoints-from-vpc",
            security_group_id=group.id,
            description="HTTPS from hosts of the VPC",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            cidr_ipv4=self._inputs.vpc_cidr,
        )
        for service in self._inputs.interface_endpoints:
            VpcEndpoint(
                self,
                f"endpoint-{service}",
                vpc_id=vpc.id,
                vpc_endpoint_type="Interface",
                service_name=f"com.amazonaws.{self.deployment.region}.{service}",
                subnet_ids=[subnet.id for subnet in private],
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags={"Name": self.resource_name(service)},
            )

    def _flow_log(self, vpc: Vpc, group_arn: str) -> None:
        write = Statement(
            sid="WriteFlowLogs",
            actions=("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
            resources=(group_arn, f"{group_arn}:log-stream:*"),
        )
        role = service_role(self, self.resource_name("flow-log"), "vpc-flow-logs.amazonaws.com", write)
        FlowLog(
            self,
            "flow-log",
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination=group_arn,
            iam_role_arn=role.arn,
        )
