"""A launch template's later versions have user data that can be launched, as its first one has.

What moto 5.2.5 does instead: it decodes the user data of the first version only, and launching any other fails.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.utils import parse_user_data

from rehearsal.emulated_aws.extension import extend

_create_version = LaunchTemplate.create_version


def _create(template: LaunchTemplate, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
    known = data.get("UserData")
    if isinstance(known, str):
        data = {**data, "UserData": parse_user_data(known)}
    return _create_version(template, data, description)


def install() -> None:
    """Decode the user data of every version."""
    extend(LaunchTemplate, "create_version", _create)
