"""Rules about the VPC: zones, blocks, who may come in, and what hosts without a NAT gateway need."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Network
from itertools import combinations
from typing import TYPE_CHECKING

from settings.errors import Fault
from settings.subnets import private_blocks, public_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from settings.model import Settings

# EC2 makes subnets of /16 to /28. The default cut of a VPC (settings/subnets.py) ends at /28 for a /20.
_LARGEST_VPC, _SMALLEST_VPC, _SMALLEST_SUBNET = 16, 20, 28
# What the programs on every host call: groups and instances, the API key and Session Manager, logs and metrics.
_NEEDED_WITHOUT_NAT = ("autoscaling", "ec2", "ssm", "logs", "monitoring")

Placed = tuple[str, IPv4Network]


def repeated(path: str, values: Sequence[object]) -> Iterator[Fault]:
    """Yield a fault for each value that a list has more than once."""
    for value in [value for value, count in Counter(values).items() if count > 1]:
        yield Fault(path, str(value), "is listed twice", "keep it once")


def zones(settings: Settings) -> Iterator[Fault]:
    """Zones: at least two, of the deployment's region, each once."""
    path, given = "network.availability_zones", settings.network.availability_zones
    yield from repeated(path, given)
    if len(given) == 1:
        yield Fault(path, given, "is one zone", "name two or more, or leave the key out for zones a and b")
    for index, zone in enumerate(given):
        if zone[:-1] != settings.region:
            remedy = f"use a zone like {settings.region}{zone[-1]}, or set region to {zone[:-1]}"
            yield Fault(f"{path}[{index}]", zone, f"is not in the region {settings.region}", remedy, ("region",))


def vpc_size(settings: Settings) -> Iterator[Fault]:
    """The VPC's block is /16 to /20."""
    block = settings.network.vpc_cidr
    if block.prefixlen < _LARGEST_VPC:
        remedy = f"use a /{_LARGEST_VPC}, the largest that AWS makes, like {block.network_address}/{_LARGEST_VPC}"
        yield Fault("network.vpc_cidr", block, f"is larger than a /{_LARGEST_VPC}", remedy)
    if block.prefixlen > _SMALLEST_VPC:
        rule = f"is smaller than a /{_SMALLEST_VPC}, which leaves no room for subnets"
        yield Fault("network.vpc_cidr", block, rule, f"use a block of /{_LARGEST_VPC} to /{_SMALLEST_VPC}")


def has_usable_vpc(settings: Settings) -> bool:
    """Tell whether the VPC has a size that can be cut into subnets."""
    return _LARGEST_VPC <= settings.network.vpc_cidr.prefixlen <= _SMALLEST_VPC


def subnets(settings: Settings) -> Iterator[Fault]:
    """Subnets: one per zone, inside the VPC, large enough for AWS, none overlapping another."""
    if not has_usable_vpc(settings):
        return
    network = settings.network
    yield from _one_per_zone(settings, "network.private_subnets", network.private_subnets)
    yield from _one_per_zone(settings, "network.public_subnets", network.public_subnets)
    blocks = [
        *_placed("network.private_subnets", network.private_subnets, private_blocks(settings)),
        *_placed("network.public_subnets", network.public_subnets, public_blocks(settings)),
    ]
    for path, block in blocks:
        yield from _fits(settings, path, block)
    yield from _overlapping(blocks)


def _placed(path: str, given: Sequence[IPv4Network], used: Sequence[IPv4Network]) -> list[Placed]:
    """Pair each block with the key that decides it; blocks cut from the VPC belong to the key left out."""
    return [(f"{path}[{index}]" if given else path, block) for index, block in enumerate(used)]


def _one_per_zone(settings: Settings, path: str, blocks: Sequence[IPv4Network]) -> Iterator[Fault]:
    zone_count = len(settings.availability_zones)
    if blocks and len(blocks) != zone_count:
        rule = f"does not have one block for each of the {zone_count} zones"
        zones_named = ", ".join(settings.availability_zones)
        remedy = f"give a block for each of {zones_named}"
        yield Fault(path, [str(block) for block in blocks], rule, remedy, ("network.availability_zones",))


def _fits(settings: Settings, path: str, block: IPv4Network) -> Iterator[Fault]:
    vpc = settings.network.vpc_cidr
    if not block.subnet_of(vpc):
        yield Fault(path, block, f"is not inside the VPC {vpc}", f"use a part of {vpc}", ("network.vpc_cidr",))
    if block.prefixlen > _SMALLEST_SUBNET:
        rule = f"is smaller than a /{_SMALLEST_SUBNET}, the smallest subnet that AWS makes"
        yield Fault(path, block, rule, f"use /{_SMALLEST_SUBNET} or larger")


def _overlapping(blocks: Sequence[Placed]) -> Iterator[Fault]:
    for (path, block), (other_path, other) in combinations(blocks, 2):
        if path != other_path and block.overlaps(other):
            yield Fault(other_path, other, f"overlaps {path}, {block}", "use blocks that do not overlap", (path,))


def allowed_blocks(settings: Settings) -> Iterator[Fault]:
    """Blocks that may reach the router: each once, and none inside the VPC, which may anyway."""
    path, vpc = "access.allowed_cidrs", settings.network.vpc_cidr
    yield from repeated(path, settings.access.allowed_cidrs)
    for index, block in enumerate(settings.access.allowed_cidrs):
        if block.subnet_of(vpc):
            rule = f"is inside the VPC {vpc}, which may reach the router anyway"
            remedy = "leave it out, or give the deployment another vpc_cidr if a peered network uses this block"
            yield Fault(f"{path}[{index}]", block, rule, remedy, ("network.vpc_cidr",))


def private_endpoints(settings: Settings) -> Iterator[Fault]:
    """Without a NAT gateway every AWS service that hosts call needs an endpoint in the VPC."""
    network = settings.network
    path = "network.interface_endpoints"
    yield from repeated(path, network.interface_endpoints)
    needed = (*_NEEDED_WITHOUT_NAT, *(("secretsmanager",) if settings.router.tls else ()))
    missing = [service for service in needed if service not in network.interface_endpoints]
    if network.nat == "none" and missing:
        rule = f'lacks {", ".join(missing)}, which hosts call and cannot reach with nat = "none"'
        yield Fault(path, network.interface_endpoints, rule, 'add them, or set nat = "single"', ("network.nat",))
