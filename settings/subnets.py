"""How the VPC's block is divided: one private and one public subnet per availability zone."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from settings.model import Settings

# A VPC of /16 to /20 is cut into 16 blocks. Private subnets are the first ones; public subnets hold only NAT gateways
# and load balancers, so they are small and cut from the last block: 10.0.0.0/16 → 10.0.0.0/20, 10.0.16.0/20, … and
# 10.0.240.0/24, 10.0.241.0/24, … A /20 gives public subnets of /28, the smallest that EC2 makes.
_BITS = 4


def private_blocks(settings: Settings) -> tuple[IPv4Network, ...]:
    """Return the block of each zone's private subnet: those given, or the first sixteenths of the VPC."""
    return settings.network.private_subnets or _cut(settings.network.vpc_cidr, len(settings.availability_zones))


def public_blocks(settings: Settings) -> tuple[IPv4Network, ...]:
    """Return the block of each zone's public subnet: those given, or sixteenths of the VPC's last sixteenth."""
    vpc = settings.network.vpc_cidr
    last = list(vpc.subnets(prefixlen_diff=_BITS))[-1] if vpc.prefixlen <= 32 - _BITS else vpc
    return settings.network.public_subnets or _cut(last, len(settings.availability_zones))


def _cut(block: IPv4Network, count: int) -> tuple[IPv4Network, ...]:
    if block.prefixlen > block.max_prefixlen - _BITS:
        return ()
    return tuple(islice(block.subnets(prefixlen_diff=_BITS), count))
