"""EC2 resources that read back as they were written, so that a plan right after an apply finds nothing to change.

What moto 5.2.5 does instead: a launch template's own tags come back as if they were meant for what it launches; the
description of a security group rule that names another group is lost. For Terraform a changed launch template is a new
version, and a new version an instance refresh.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.models.security_groups import SecurityGroupRule

from rehearsal.emulated_aws.extension import extend


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


_moto_version = LaunchTemplateVersion.__init__


def install() -> None:
    """Replace what is described above."""
    extend(LaunchTemplateVersion, "__init__", _version)
    extend(SecurityGroupRule, "description", property(_description))
