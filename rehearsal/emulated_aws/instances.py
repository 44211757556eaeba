"""Instances that read back as they were launched, so that Terraform's next plan sees nothing to change.

What moto 5.2.5 does instead: an interface without a public address reports an empty association, which Terraform takes
for a public address (and would replace the router); security groups given for an interface are not the instance's;
throughput and IOPS of volumes made at launch are dropped; so is what the image says of its volumes.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceBackend, Reservation
from moto.ec2.responses.instances import InstanceResponse

from rehearsal.emulated_aws.extension import extend
from rehearsal.emulated_aws.images import disks_of


def is_made(instance: Instance) -> bool:
    """Whether an instance has all it was launched with: moto lists it before, and gives it its volumes last."""
    return getattr(instance, "rehearsal_made", False)


def _association(self: NetworkInterface) -> dict[str, Any] | None:
    return _moto_association(self) if self.public_ip else None


def _mappings(backend: InstanceBackend, image_id: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The volumes to make: what the request or its launch template says of a device goes before what the image says.

    (EC2 user guide, "Block device mappings for volumes on Amazon EC2 instances".)
    """
    mappings: list[dict[str, Any]] = arguments.get("block_device_mappings") or []
    image = image_id
    if arguments.get("launch_template"):
        template = backend._get_template_from_args(arguments["launch_template"])  # noqa: SLF001
        mappings = mappings or template.data.get("BlockDeviceMappings") or []
        image = image or template.image_id
    ami = backend.amis.get(image)  # type: ignore[attr-defined]
    described = disks_of(ami) if ami is not None else []
    of_image = {mapping["DeviceName"]: mapping["Ebs"] for mapping in described}
    asked = {mapping["DeviceName"]: _given(mapping) for mapping in mappings}
    devices = {**of_image, **asked}
    return [{"DeviceName": name, "Ebs": {**of_image.get(name, {}), **asked.get(name, {})}} for name in devices]


def _given(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.get("Ebs", {}).items() if value is not None}


def _complete(instance: Instance, settings: dict[str, dict[str, Any]]) -> None:
    if not instance.security_groups and instance.nics:
        instance.security_groups = list(instance.nics[0].group_set)
    for device, block in instance.get_block_device_mapping:
        wanted = settings.get(device, {})
        volume = instance.ec2_backend.get_volume(block.volume_id)
        if wanted.get("Throughput"):
            volume.throughput = int(wanted["Throughput"])
        if wanted.get("Iops"):
            volume.iops = int(wanted["Iops"])


def _parse_block_device_mapping(self: InstanceResponse) -> list[dict[str, Any]]:
    asked = {mapping["DeviceName"]: mapping.get("Ebs", {}) for mapping in self._get_param("BlockDeviceMappings", [])}
    mappings: list[dict[str, Any]] = _moto_parse(self)
    for mapping in mappings:
        mapping["Ebs"]["Throughput"] = asked[mapping["DeviceName"]].get("Throughput")
    return mappings


def _run_instances(self: InstanceBackend, image_id: str, *arguments: Any, **named: Any) -> Reservation:  # noqa: ANN401
    mappings = _mappings(self, image_id, named)
    settings = {mapping["DeviceName"]: mapping["Ebs"] for mapping in mappings}
    if mappings:
        named = {**named, "block_device_mappings": mappings}
    reservation = _moto_run_instances(self, image_id, *arguments, **named)
    for instance in reservation.instances:
        _complete(instance, settings)
        setattr(instance, "rehearsal_made", True)  # noqa: B010 - moto's class does not declare it
    return reservation


_moto_association = NetworkInterface.association.fget  # type: ignore[attr-defined]
_moto_parse = InstanceResponse._parse_block_device_mapping  # noqa: SLF001 - extended here
_moto_run_instances = InstanceBackend.run_instances


def install() -> None:
    """Put these readings in place of moto's."""
    setattr(NetworkInterface, "association", property(_association))  # noqa: B010 - a property, not a method
    extend(InstanceResponse, "_parse_block_device_mapping", _parse_block_device_mapping)
    extend(InstanceBackend, "run_instances", _run_instances)
