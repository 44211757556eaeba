"""Instances that read back as they were launched, so that Terraform's next plan sees nothing to change.

What moto 5.2.5 does instead: an interface without a public address reports an empty association, which Terraform takes
for a public address (and would replace the router); security groups given for an interface are not the instance's;
throughput and IOPS of volumes made at launch are dropped.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceBackend, Reservation
from moto.ec2.responses.instances import InstanceResponse

from rehearsal.emulated_aws.extension import extend


def _association(self: NetworkInterface) -> dict[str, Any] | None:
    return _moto_association(self) if self.public_ip else None


def _volume_settings(backend: InstanceBackend, arguments: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is asked for each device, in the request or in its launch template."""
    mappings = arguments.get("block_device_mappings")
    if not mappings and arguments.get("launch_template"):
        template = backend._get_template_from_args(arguments["launch_template"])  # noqa: SLF001
        mappings = template.data.get("BlockDeviceMappings")
    return {mapping["DeviceName"]: mapping.get("Ebs", {}) for mapping in mappings or []}


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


def _run_instances(self: InstanceBackend, *arguments: Any, **named: Any) -> Reservation:  # noqa: ANN401 - handed through
    settings = _volume_settings(self, named)
    reservation = _moto_run_instances(self, *arguments, **named)
    for instance in reservation.instances:
        _complete(instance, settings)
    return reservation


_moto_association = NetworkInterface.association.fget  # type: ignore[attr-defined]
_moto_parse = InstanceResponse._parse_block_device_mapping  # noqa: SLF001 - extended here
_moto_run_instances = InstanceBackend.run_instances


def install() -> None:
    """Put these readings in place of moto's."""
    setattr(NetworkInterface, "association", property(_association))  # noqa: B010 - a property, not a method
    extend(InstanceResponse, "_parse_block_device_mapping", _parse_block_device_mapping)
    extend(InstanceBackend, "run_instances", _run_instances)
