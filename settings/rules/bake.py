"""Rules about how images are baked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.catalogue import catalogue, host_architecture
from settings.errors import Fault, FaultyValueError
from settings.rules.network import repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.bake import Role
    from settings.catalogue import Architecture
    from settings.model import Settings


@dataclass(frozen=True)
class _Baked:
    """Hosts that start from a baked image."""

    path: str
    instance_type: str
    architecture: Architecture


def _baked(settings: Settings, role: Role) -> tuple[_Baked, ...]:
    """Hosts of a role, without those whose image is made elsewhere and those with a type that is at fault itself."""
    if role == "router":
        hosts = [("router", settings.router.instance_type, settings.router.image)]
    else:
        hosts = [
            (f"workers[{index}]", pool.instance_type, pool.image)
            for index, pool in enumerate(settings.workers)
            if pool.instance_type in catalogue().instances
        ]
    return tuple(
        _Baked(f"{path}.instance_type", instance_type, architecture)
        for path, instance_type, image in hosts
        if not image.is_own and (architecture := _architecture(instance_type))
    )


def _architecture(instance_type: str) -> Architecture | None:
    try:
        return host_architecture(instance_type)
    except FaultyValueError:
        return None


def ssh(settings: Settings) -> Iterator[Fault]:
    """Blocks are listed once, and a private address is not opened to this computer's public one."""
    bake, path = settings.bake, "bake.ssh_cidrs"
    yield from repeated(path, bake.ssh_cidrs)
    if bake.ssh_interface == "private_ip" and not bake.ssh_cidrs:
        rule = 'means this computer\'s public address, and with ssh_interface = "private_ip" a private one connects'
        remedy = 'name the block you connect from, like ["10.8.0.0/16"]'
        yield Fault(path, bake.ssh_cidrs, rule, remedy, ("bake.ssh_interface",))


def instance_types(settings: Settings) -> Iterator[Fault]:
    """A bake runs on the processors that its image is for."""
    given = {"router": settings.bake.router_instance_type, "worker": settings.bake.worker_instance_type}
    roles: tuple[Role, ...] = ("router", "worker")
    for role in roles:
        instance_type, path = given[role], f"bake.{role}_instance_type"
        if instance_type is None:
            continue
        try:
            architecture = host_architecture(instance_type)
        except FaultyValueError as error:
            yield from (Fault(path, fault.value, fault.rule, fault.remedy) for fault in error.faults)
            continue
        for host in _baked(settings, role):
            if host.architecture != architecture:
                rule = f"has {architecture} processors, and {host.path} {host.instance_type} has {host.architecture}"
                remedy = f"leave it out or use a type with {host.architecture} processors"
                yield Fault(path, instance_type, rule, remedy, (host.path,))


def base_images(settings: Settings) -> Iterator[Fault]:
    """One base image cannot serve pools with different processors."""
    given = settings.bake.worker_base_parameter
    hosts = _baked(settings, "worker")
    other = next((host for host in hosts if host.architecture != hosts[0].architecture), None)
    if given is not None and other is not None:
        rule = f"names one image, and {hosts[0].path} needs {hosts[0].architecture}, {other.path} {other.architecture}"
        remedy = "leave it out, or give one of the pools an image.ami"
        yield Fault("bake.worker_base_parameter", given, rule, remedy, (hosts[0].path, other.path))
