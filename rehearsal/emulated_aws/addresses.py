"""Private addresses as EC2 gives them: distinct, inside the subnet, released when the instance goes.

What moto 5.2.5 does instead: it hands out addresses without looking at network interfaces (a NAT gateway or an
interface endpoint may sit on the address a host asks for), releases them only when Python collects the instance
object (a replaced router cannot have its fixed address back), and keeps the primary interface of a terminated instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.models.subnets import Subnet

from rehearsal.emulated_aws.extension import extend

# "The first four IP addresses and the last IP address in each subnet are not available" (VPC user guide, subnets).
RESERVED_FIRST = 4


class SubnetIsFullError(EC2ClientError):
    """No free address in the subnet."""

    code = "InsufficientFreeAddressesInSubnet"

    def __init__(self, subnet_id: str) -> None:
        super().__init__(
            f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number."
        )


def candidates(block: IPv4Network, start: int) -> Iterator[str]:
    """All usable addresses of a block once around, from the `start`-th usable one on."""
    usable = block.num_addresses - RESERVED_FIRST - 1
    for step in range(usable):
        yield str(block.network_address + RESERVED_FIRST + (start + step) % usable)


def _taken(subnet: Subnet) -> set[str]:
    interfaces: list[NetworkInterface] = list(subnet.ec2_backend.enis.values())
    of_interfaces = {str(eni.private_ip_address) for eni in interfaces if eni.subnet.id == subnet.id}
    return of_interfaces | {str(address) for address in list(subnet._subnet_ips)}  # noqa: SLF001 - extended here


def _next_free(subnet: Subnet) -> str:
    """Next free address, going round: a released address is the last to be used again, as in EC2."""
    start: int = getattr(subnet, "rehearsal_next", 0)
    taken = _taken(subnet)
    block = IPv4Network(str(subnet.cidr))
    for step, address in enumerate(candidates(block, start)):
        if address not in taken:
            setattr(subnet, "rehearsal_next", start + step + 1)  # noqa: B010 - moto's class does not declare it
            return address
    raise SubnetIsFullError(subnet.id)


def _get_available_subnet_ip(self: Subnet, instance: Instance) -> str:
    address = _next_free(self)
    self._subnet_ips[address] = instance
    return address


def _inside(address: str | list[str], subnet: Subnet) -> bool:
    first = address[0] if isinstance(address, list) and address else address
    return bool(first) and ip_address(str(first)) in IPv4Network(str(subnet.cidr))


def _create_network_interface(
    self: NetworkInterfaceBackend,
    subnet: Subnet | str,
    private_ip_address: str | list[str],
    private_ip_addresses: list[dict[str, Any]] | None = None,
    **kwargs: Any,  # noqa: ANN401 - handed through
) -> NetworkInterface:
    owner: Subnet = self.get_subnet(subnet) if isinstance(subnet, str) else subnet  # type: ignore[attr-defined]
    address = private_ip_address
    if not private_ip_addresses and not _inside(address, owner):  # moto gives a NAT gateway an address of no subnet
        address = _next_free(owner)
    return _moto_create_network_interface(self, owner, address, private_ip_addresses, **kwargs)


def _prep_nics(self: Instance, nic_spec: list[dict[str, Any]], **kwargs: Any) -> None:  # noqa: ANN401
    created_here = {int(nic["DeviceIndex"]) for nic in nic_spec if "NetworkInterfaceId" not in nic} or {0}
    kept = {int(nic["DeviceIndex"]) for nic in nic_spec if nic.get("DeleteOnTermination") is False}
    given = {int(nic["DeviceIndex"]) for nic in nic_spec if "NetworkInterfaceId" in nic}
    _moto_prep_nics(self, nic_spec, **kwargs)
    for index in created_here - kept - given:
        self.nics[index].delete_on_termination = True  # EC2's default for interfaces made at launch
    self.placement.zone = self.nics[0].subnet.availability_zone


def _terminate(self: Instance) -> InstanceState:
    previous = _moto_terminate(self)
    subnet: Subnet | None = self.ec2_backend.get_subnet(self.subnet_id) if self.subnet_id else None
    for address in tuple(self._private_ips):
        if subnet is not None:
            subnet.del_subnet_ip(address)
        self._private_ips.discard(address)  # or moto would free it again when the object is collected
    return previous


_moto_create_network_interface = NetworkInterfaceBackend.create_network_interface
_moto_prep_nics = Instance.prep_nics
_moto_terminate = Instance.terminate


def install() -> None:
    """Put EC2's rules for private addresses in place of moto's."""
    extend(Subnet, "get_available_subnet_ip", _get_available_subnet_ip)
    extend(NetworkInterfaceBackend, "create_network_interface", _create_network_interface)
    extend(Instance, "prep_nics", _prep_nics)
    extend(Instance, "terminate", _terminate)
