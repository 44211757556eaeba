"""What was set reads back as it was set, so that a plan right after an apply finds nothing to change.

What moto 5.2.5 does instead: groups forget DefaultInstanceWarmup and InstanceMaintenancePolicy; scaling policies come
back as not enabled and with an empty predictive configuration; a launch template's own tags come back as if they were
meant for what it launches; the description of a security group rule that names another group is lost. For Terraform a
changed launch template is a new version, and a new version an instance refresh.
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import FakeScalingPolicy
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.models.security_groups import SecurityGroupRule

from rehearsal.emulated_aws.extension import add, extend


def _remember(response: AutoScalingResponse) -> None:
    """Keep the fields of a request that moto has no place for; its answers are made from attributes by these names."""
    group = response.autoscaling_backend.autoscaling_groups[response._get_param("AutoScalingGroupName")]  # noqa: SLF001
    parameters = response._get_params()  # noqa: SLF001
    if "DefaultInstanceWarmup" in parameters:
        group.default_instance_warmup = int(parameters["DefaultInstanceWarmup"])  # type: ignore[attr-defined]
    if "InstanceMaintenancePolicy" in parameters:
        group.instance_maintenance_policy = parameters["InstanceMaintenancePolicy"]  # type: ignore[attr-defined]


def _create_group(self: AutoScalingResponse) -> ActionResult:
    result = _moto_create_group(self)
    _remember(self)
    return result


def _update_group(self: AutoScalingResponse) -> ActionResult:
    result = _moto_update_group(self)
    _remember(self)
    return result


def _policy(self: FakeScalingPolicy, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - handed on to moto
    _moto_policy(self, *arguments, **named)
    self.predictive_scaling_configuration = self.predictive_scaling_configuration or None  # type: ignore[assignment]


def _version(
    self: LaunchTemplateVersion, template: LaunchTemplate, number: int, data: dict[str, Any], description: str
) -> None:
    _moto_version(self, template, number, data, description)
    specifications = data.get("TagSpecifications", [])
    launched = [item for item in specifications if item.get("ResourceType") != "launch-template"]
    self.data = {**data, "TagSpecifications": launched} if launched else _without(data, "TagSpecifications")


def _without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


def _description(self: SecurityGroupRule) -> str | None:
    named: dict[str, str] = self.ip_range or self.source_group
    return named.get("Description")


_moto_create_group = AutoScalingResponse.create_auto_scaling_group
_moto_update_group = AutoScalingResponse.update_auto_scaling_group
_moto_policy = FakeScalingPolicy.__init__
_moto_version = LaunchTemplateVersion.__init__


def install() -> None:
    """Replace and add what is described above."""
    extend(AutoScalingResponse, "create_auto_scaling_group", _create_group)
    extend(AutoScalingResponse, "update_auto_scaling_group", _update_group)
    extend(FakeScalingPolicy, "__init__", _policy)
    add(FakeScalingPolicy, "enabled", True)  # noqa: FBT003 - the value of an attribute
    extend(LaunchTemplateVersion, "__init__", _version)
    extend(SecurityGroupRule, "description", property(_description))
