"""Who uses an image: everything in the account's region that hosts have started from it, or could.

What cannot be found out raises. Pruning rests on this, so a call that is denied must not look like "nobody".
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import boto3

from packer.account import CONFIG
from settings.naming import image_parameter, stack_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef
    from mypy_boto3_ssm.type_defs import ParameterStringFilterTypeDef

    from packer.account import Account
    from settings.model import Settings

Use = tuple[str, str]  # an image's id, and who uses it
PARAMETERS_ROOT: Final = "/sglang-fleet/"
IMAGE_SEGMENT: Final = "image"  # as in naming.image_parameter
# `resolve:ssm:NAME` or `resolve:ssm:NAME:VERSION`: launch template API, ImageId.
RESOLVED: Final = "resolve:ssm:"
GONE: Final = "terminated"
ALWAYS: Final = ("$Latest", "$Default")


def uses_of(account: Account, settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """Who uses each image, by its id.

    Raises:
        ClientError: a call was refused, so that it is not known.
    """
    found: dict[str, dict[str, None]] = defaultdict(dict)
    sources = (_settings(settings), _parameters(account, settings), _launch_templates(account), _instances(account))
    for image_id, user in (use for source in sources for use in source):
        found[image_id][user] = None
    return {image_id: tuple(users) for image_id, users in found.items()}


def _settings(settings: Settings) -> Iterator[Use]:
    """Images that the settings at hand name themselves."""
    named = [("router", settings.router.image.ami)]
    named += [(f"workers[{index}]", pool.image.ami) for index, pool in enumerate(settings.workers)]
    yield from ((ami, f"settings {path}.image.ami") for path, ami in named if ami)


def _parameters(account: Account, settings: Settings) -> Iterator[Use]:
    """What bakes have recorded: of every deployment in the region, not only of the one at hand."""
    names = {image_parameter(settings, stack) for stack in stack_names(settings)}
    images = (settings.router.image, *(pool.image for pool in settings.workers))
    names |= {image.ssm_parameter for image in images if image.ssm_parameter}
    filters: list[ParameterStringFilterTypeDef] = [{"Key": "Name", "Option": "BeginsWith", "Values": [PARAMETERS_ROOT]}]
    for page in account.ssm.get_paginator("describe_parameters").paginate(ParameterFilters=filters):
        names |= {told["Name"] for told in page["Parameters"] if IMAGE_SEGMENT in told["Name"].split("/")}
    yield from ((image_id, f"parameter {name}") for name, image_id in account.parameters(names).items())


def _launch_templates(account: Account) -> Iterator[Use]:
    """The latest and the default version of every launch template, and those that groups name by number."""
    named = _versions_of_groups(account)
    for page in account.ec2.get_paginator("describe_launch_templates").paginate():
        for template in page["LaunchTemplates"]:
            versions = sorted({*ALWAYS, *named.get(template["LaunchTemplateId"], ())})
            yield from _versions(account, template["LaunchTemplateId"], template["LaunchTemplateName"], versions)


def _versions(account: Account, template: str, name: str, versions: Sequence[str]) -> Iterator[Use]:
    pages = account.ec2.get_paginator("describe_launch_template_versions").paginate(
        LaunchTemplateId=template, Versions=list(versions)
    )
    for version in (one for page in pages for one in page["LaunchTemplateVersions"]):
        image_id = version["LaunchTemplateData"].get("ImageId", "")
        if image_id.startswith(RESOLVED):
            parameter = image_id.removeprefix(RESOLVED).partition(":")[0]
            image_id = account.parameters([parameter]).get(parameter, "")
        if image_id:
            yield image_id, f"launch template {name} version {version['VersionNumber']}"


def _versions_of_groups(account: Account) -> Mapping[str, set[str]]:
    """Versions that Auto Scaling groups launch from, by launch template: a group may lag behind its template."""
    autoscaling = boto3.client("autoscaling", region_name=account.region, config=CONFIG)
    found: dict[str, set[str]] = defaultdict(set)
    for page in autoscaling.get_paginator("describe_auto_scaling_groups").paginate():
        for group in page["AutoScalingGroups"]:
            for template, version in _templates_of(group):
                found[template].add(version)
    return found


def _templates_of(group: AutoScalingGroupTypeDef) -> Iterable[tuple[str, str]]:
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    overrides = (override.get("LaunchTemplateSpecification", {}) for override in mixed.get("Overrides", ()))
    for named in (group.get("LaunchTemplate", {}), mixed.get("LaunchTemplateSpecification", {}), *overrides):
        if "LaunchTemplateId" in named and "Version" in named:
            yield named["LaunchTemplateId"], named["Version"]


def _instances(account: Account) -> Iterator[Use]:
    """Every instance that has not ended for good, the stopped ones of warm pools among them."""
    for page in account.ec2.get_paginator("describe_instances").paginate():
        for instance in (one for group in page["Reservations"] for one in group["Instances"]):
            if instance["State"]["Name"] != GONE:
                yield instance["ImageId"], f"instance {instance['InstanceId']}"
