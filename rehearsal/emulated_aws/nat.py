"""A deleted NAT gateway takes its network interface along, as in EC2.

What moto 5.2.5 does instead: it keeps the interface for ever.
"""

from __future__ import annotations

from moto.ec2.models.nat_gateways import NatGateway, NatGatewayBackend

from rehearsal.emulated_aws.extension import extend


def _delete_nat_gateway(self: NatGatewayBackend, nat_gateway_id: str) -> NatGateway:
    gateway = _moto_delete_nat_gateway(self, nat_gateway_id)
    gateway.ec2_backend.enis.pop(gateway._eni.id, None)  # noqa: SLF001 - the only way to it
    return gateway


_moto_delete_nat_gateway = NatGatewayBackend.delete_nat_gateway


def install() -> None:
    """Put this deletion in place of moto's."""
    extend(NatGatewayBackend, "delete_nat_gateway", _delete_nat_gateway)
