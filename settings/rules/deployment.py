"""Rules about the deployment as a whole and its router."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from settings.catalogue import host_architecture
from settings.errors import ABSENT, Fault, FaultyValueError, format_path
from settings.rules.network import has_usable_vpc
from settings.subnets import private_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv4Network

    from settings.model import Settings
    from settings.router import ImageSettings, VolumeSettings
    from settings.workers import ModelVolumeSettings

_LONGEST_BUCKET_NAME = 63  # S3 user guide, bucket naming rules
# AWS takes 50 tags per resource; the fleet's own, the resource's name and one in reserve are left free.
_MOST_TAGS, _LONGEST_TAG_KEY, _LONGEST_TAG_VALUE = 40, 128, 256
_TAG_TEXT = re.compile(r"[\w\s.:/=+\-@]*")
_RESERVED_TAGS = ("aws:", "sglang-fleet:")
# The network address, the VPC's router, its DNS server and one kept for the future; the last is the broadcast address.
_RESERVED_FIRST = 4
# gp3 (EBS user guide): 500 operations per second and GiB, and 0.25 MiB/s per operation.
_IOPS_PER_GIB = 500
_IOPS_PER_MIB = 4


def state_bucket_name(settings: Settings) -> Iterator[Fault]:
    """The name made for the state bucket fits into what S3 takes."""
    name = settings.state_bucket
    if len(name) > _LONGEST_BUCKET_NAME:
        rule = f"makes the state bucket's name {name} longer than {_LONGEST_BUCKET_NAME} characters"
        yield Fault(
            "name", settings.name, rule, "use a shorter name or set state.bucket", ("state.bucket", "account_id")
        )


def tags(settings: Settings) -> Iterator[Fault]:
    """Tags keep to AWS's limits and leave the names alone that AWS and the fleet use."""
    if len(settings.tags) > _MOST_TAGS:
        rule = f"are {len(settings.tags)}, more than the {_MOST_TAGS} that leave room for the fleet's own"
        yield Fault("tags", ABSENT, rule, "leave some out")
    for key, value in settings.tags.items():
        for rule, remedy in _tag_faults(key, value):
            yield Fault(format_path(("tags", key)), value, rule, remedy)


def _tag_faults(key: str, value: str) -> Iterator[tuple[str, str]]:
    reserved = next((prefix for prefix in _RESERVED_TAGS if key.lower().startswith(prefix)), None)
    if reserved:
        yield f"has a key that starts with {reserved}, which is reserved", "use another key"
    if not 1 <= len(key) <= _LONGEST_TAG_KEY:
        yield "has an empty key or one longer than 128 characters", "use a key of 1 to 128 characters"
    if len(value) > _LONGEST_TAG_VALUE:
        yield "is longer than 256 characters", "shorten it"
    if not (_TAG_TEXT.fullmatch(key) and _TAG_TEXT.fullmatch(value)):
        yield "has a character that AWS does not take in tags", "use letters, digits, spaces and _ . : / = + - @"


def router_address(settings: Settings) -> Iterator[Fault]:
    """The router's address is one that an instance in the first private subnet can have."""
    blocks = private_blocks(settings)
    if not has_usable_vpc(settings):
        return
    address, subnet = settings.router.address, blocks[0]
    involved = ("network.vpc_cidr", "network.private_subnets[0]")
    remedy = f"use an address like {_example_address(subnet)}"
    if address not in subnet:
        yield Fault("router.address", address, f"is outside the first private subnet {subnet}", remedy, involved)
    elif int(address) - int(subnet.network_address) < _RESERVED_FIRST or address == subnet.broadcast_address:
        rule = f"is reserved by AWS: the first four addresses and the last of {subnet} are"
        yield Fault("router.address", address, rule, remedy, involved)


def _example_address(subnet: IPv4Network) -> IPv4Address:
    """Return the address that is to its subnet what 10.0.0.100 is to 10.0.0.0/20."""
    return subnet.network_address + min(100, subnet.num_addresses - 2)


def router_ports(settings: Settings) -> Iterator[Fault]:
    """The router's metrics need a port of their own."""
    router = settings.router
    if router.port == router.prometheus_port:
        rule = "is the port that clients connect to"
        yield Fault("router.prometheus_port", router.port, rule, "use another port than router.port", ("router.port",))


def router_policy(settings: Settings) -> Iterator[Fault]:
    """Several routers agree on a worker only when the choice needs no memory: each has a prefix tree of its own.

    Measured with two smg 1.13.0: cache_aware sent 20 of 61 prefixes to the same worker, prefix_hash 61 of 61.
    """
    router = settings.router
    if router.count > 1 and router.policy == "cache_aware":
        rule = f"keeps its prefixes in one router's memory, and router.count is {router.count}"
        remedy = 'use "prefix_hash", which needs no memory, or count = 1'
        yield Fault("router.policy", router.policy, rule, remedy, ("router.count",))


def router_type(settings: Settings) -> Iterator[Fault]:
    """The router's instance type, image and volume go together."""
    router = settings.router
    yield from image_fits("router", router.instance_type, router.image)
    yield from volume_fits("router.volume", router.volume)


def image_fits(section: str, instance_type: str, image: ImageSettings) -> Iterator[Fault]:
    """The image's architecture is the instance type's."""
    path = f"{section}.instance_type"
    try:
        needed = host_architecture(instance_type)
    except FaultyValueError as error:
        yield from (Fault(path, fault.value, fault.rule, fault.remedy) for fault in error.faults)
        return
    if image.architecture not in (None, needed):
        rule = f"is not the architecture of {instance_type}, which is {needed}"
        remedy = f'set architecture = "{needed}", leave it out, or use another instance_type'
        yield Fault(f"{section}.image.architecture", image.architecture, rule, remedy, (path,))


def volume_fits(path: str, volume: VolumeSettings | ModelVolumeSettings) -> Iterator[Fault]:
    """A gp3 volume's rates keep to EBS's ratios; a size that the bake chooses is chosen to."""
    if volume.size_gib is not None and volume.iops > volume.size_gib * _IOPS_PER_GIB:
        rule = f"is more than {_IOPS_PER_GIB} for each of {volume.size_gib} GiB"
        remedy = f"use {volume.size_gib * _IOPS_PER_GIB} at most or raise size_gib"
        yield Fault(f"{path}.iops", volume.iops, rule, remedy, (f"{path}.size_gib",))
    if volume.throughput_mib * _IOPS_PER_MIB > volume.iops:
        rule = f"is more than 0.25 MiB/s for each of {volume.iops} iops"
        remedy = f"raise iops to {volume.throughput_mib * _IOPS_PER_MIB} or use {volume.iops // _IOPS_PER_MIB} at most"
        yield Fault(f"{path}.throughput_mib", volume.throughput_mib, rule, remedy, (f"{path}.iops",))
