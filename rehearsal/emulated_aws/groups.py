"""An Auto Scaling launch as EC2 Auto Scaling does it: everything the launch template says.

What moto 5.2.5 does instead: the launch template's instance profile, metadata options, network interfaces, volume
tags, shutdown behaviour and version are ignored, and a second, unencrypted root volume is added.
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError
from moto.autoscaling.models import ASG_NAME_TAG, FakeAutoScalingGroup
from moto.ec2.models.instances import Instance
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.utils import convert_tag_spec
from moto.ssm.models import ssm_backends

RESOLVE_SSM = "resolve:ssm:"


def _image_id(group: FakeAutoScalingGroup, version: LaunchTemplateVersion) -> str:
    """Image of a template; `resolve:ssm:NAME` is looked up at each launch, as EC2 does."""
    if not version.image_id.startswith(RESOLVE_SSM):
        return version.image_id
    name = version.image_id.removeprefix(RESOLVE_SSM)
    parameter = ssm_backends[group.account_id][group.region].get_parameter(name)
    if parameter is None:
        raise AutoscalingClientError("ValidationError", f"The SSM parameter {name} does not exist.")
    return str(parameter.value)


def _instance_type(group: FakeAutoScalingGroup, version: LaunchTemplateVersion) -> str:
    policy = group.mixed_instances_policy or {}
    overrides = policy.get("LaunchTemplate", {}).get("Overrides", [])
    return str(overrides[0].get("InstanceType", version.instance_type)) if overrides else version.instance_type


def _interfaces(data: dict[str, Any], subnet: str) -> list[dict[str, Any]]:
    """Interfaces of a template, in the instance's subnet; their groups go to the instance, which hands them on."""
    interfaces = ({"DeviceIndex": 0, **nic, "SubnetId": subnet} for nic in data.get("NetworkInterfaces", []))
    return [{key: value for key, value in nic.items() if key != "Groups"} for nic in interfaces]


def _security_groups(data: dict[str, Any]) -> list[str]:
    of_interfaces = [group for nic in data.get("NetworkInterfaces", []) for group in nic.get("Groups", [])]
    return of_interfaces or list(data.get("SecurityGroupIds", []))


def _launch_arguments(group: FakeAutoScalingGroup, version: LaunchTemplateVersion, subnet: str) -> dict[str, Any]:
    """Keyword arguments of moto's run_instances for one instance of the group."""
    data = version.data
    arguments: dict[str, Any] = {
        "instance_type": _instance_type(group, version),
        "is_instance_type_default": False,
        "launch_template": {"LaunchTemplateId": version.template.id, "Version": str(version.number)},
        "subnet_id": subnet,
        "nics": _interfaces(data, subnet),
        "security_group_ids": _security_groups(data),
        "region_name": group.region,
        "metadata_options": data.get("MetadataOptions", {}),
        "instance_initiated_shutdown_behavior": data.get("InstanceInitiatedShutdownBehavior"),
        "monitoring_state": "enabled" if data.get("Monitoring", {}).get("Enabled") else "disabled",
        "associate_public_ip": False,
    }
    if data.get("BlockDeviceMappings"):
        arguments["block_device_mappings"] = data["BlockDeviceMappings"]
    if data.get("InstanceMarketOptions"):
        arguments["instance_market_options"] = data["InstanceMarketOptions"]
    return arguments


def _attach_profile(instance: Instance, data: dict[str, Any]) -> None:
    profile = data.get("IamInstanceProfile")
    if profile:
        instance.ec2_backend.associate_iam_instance_profile(
            instance_id=instance.id,
            iam_instance_profile_name=profile.get("Name"),
            iam_instance_profile_arn=profile.get("Arn"),
        )


def launch_one(group: FakeAutoScalingGroup, version: LaunchTemplateVersion, subnet: str) -> Instance:
    """Start one instance of a group from a launch template version, in a subnet."""
    # The group's own tags win over the template's (Auto Scaling user guide, "Tag lifecycle").
    tags = {**version.instance_tags, **group.get_propagated_tags(), ASG_NAME_TAG: group.name}
    volume_tags = convert_tag_spec(version.data.get("TagSpecifications", [])).get("volume", {})
    reservation = group.ec2_backend.run_instances(
        _image_id(group, version),
        1,
        version.user_data,
        [],
        tags={"instance": tags, "volume": volume_tags},
        **_launch_arguments(group, version, subnet),
    )
    instance = reservation.instances[0]
    _attach_profile(instance, version.data)
    instance.autoscaling_group = group  # type: ignore[attr-defined]
    return instance
