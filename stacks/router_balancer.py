"""The network load balancer in front of several router hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdktf_cdktf_provider_aws.lb import Lb, LbSubnetMapping
from cdktf_cdktf_provider_aws.lb_listener import LbListener, LbListenerDefaultAction
from cdktf_cdktf_provider_aws.lb_target_group import LbTargetGroup, LbTargetGroupHealthCheck
from cdktf_cdktf_provider_aws.lb_target_group_attachment import LbTargetGroupAttachment
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Sequence

# Streams last minutes: a router that leaves must be able to finish them (the target group's longest delay is 3600 s).
DRAIN_SECONDS = 600


class RouterBalancer(Construct):
    """TCP on the router's fixed address to every router host whose `/readiness` says 200."""

    def __init__(  # noqa: PLR0913 - one value per property of the load balancer
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        vpc_id: str,
        subnet_id: str,
        address: str,
        port: int,
        tls: bool,
        host_ids: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        balancer = self._balancer(name, subnet_id, address)
        group = self._target_group(name, vpc_id, port, "HTTPS" if tls else "HTTP")
        forward = LbListenerDefaultAction(type="forward", target_group_arn=group.arn)
        LbListener(
            self, "listener", load_balancer_arn=balancer.arn, port=port, protocol="TCP", default_action=[forward]
        )
        for index, host in enumerate(host_ids):
            LbTargetGroupAttachment(self, f"host-{index}", target_group_arn=group.arn, target_id=host, port=port)

    def _balancer(self, name: str, subnet_id: str, address: str) -> Lb:
        return Lb(
            self,
            "load-balancer",
            name=name,
            internal=True,
            load_balancer_type="network",
            subnet_mapping=[LbSubnetMapping(subnet_id=subnet_id, private_ipv4_address=address)],
            enable_cross_zone_load_balancing=True,
        )

    def _target_group(self, name: str, vpc_id: str, port: int, probe: str) -> LbTargetGroup:
        return LbTargetGroup(
            self,
            "target-group",
            name=name,
            vpc_id=vpc_id,
            port=port,
            protocol="TCP",
            target_type="instance",
            deregistration_delay=str(DRAIN_SECONDS),
            health_check=LbTargetGroupHealthCheck(
                protocol=probe, path="/readiness", interval=10, healthy_threshold=2, unhealthy_threshold=2
            ),
        )
