"""Where a bake begins: public images under their public SSM parameters, and a subnet for build hosts.

What moto 5.2.5 lacks: the public parameters of Canonical's and AWS's Deep Learning images; it refuses, as AWS does, to
have a parameter put under /aws, so they go straight into its table.
"""

from __future__ import annotations

from datetime import UTC, datetime

from moto.ec2.models import ec2_backends
from moto.ssm.models import Parameter, ssm_backends

from rehearsal.cloud_config import BaseImageConfig, BuildConfig
from rehearsal.emulated_aws.images import Disk, describe_disks
from rehearsal.places import ACCOUNT_ID

ROOT_DEVICE = "/dev/sda1"
ROOT_GIB = 8
OWNER = "099720109477"  # Canonical's account (documentation.ubuntu.com, "Find Ubuntu images on AWS")


def _publish(region: str, name: str, value: str) -> None:
    parameter = Parameter(  # type: ignore[abstract]  # moto makes them so itself
        account_id=ACCOUNT_ID,
        name=name,
        value=value,
        parameter_type="String",
        description=None,
        allowed_pattern=None,
        keyid=None,
        last_modified_date=datetime.now(UTC),
        version=1,
        data_type="text",
    )
    ssm_backends[ACCOUNT_ID][region]._parameters[name].append(parameter)  # noqa: SLF001 - no call puts one there


def _register(region: str, base: BaseImageConfig, number: int) -> str:
    backend = ec2_backends[ACCOUNT_ID][region]
    ami = backend.register_image(f"rehearsal-base-{number}", "public base image of a rehearsal")
    ami.architecture, ami.virtualization_type, ami.owner_id = base.architecture, "hvm", OWNER
    ami.root_device_name, ami.root_device_type = ROOT_DEVICE, "ebs"
    describe_disks(ami, [Disk(ROOT_DEVICE, ROOT_GIB)], f"public base image {number}")
    return str(ami.id)


def publish_base_images(region: str, build: BuildConfig) -> dict[str, BaseImageConfig]:
    """Register the base images.

    Returns:
        Which one each id stands for.
    """
    images = {}
    for number, base in enumerate(build.bases):
        image = _register(region, base, number)
        _publish(region, base.parameter, image)
        images[image] = base
    return images


def store_token(region: str, build: BuildConfig) -> None:
    """Put the hub's token where a bake reads it."""
    if build.hub is None or build.token_parameter is None:
        return
    ssm_backends[ACCOUNT_ID][region].put_parameter(
        name=build.token_parameter,
        description="Token of the model hub of a rehearsal",
        value=build.hub.token,
        parameter_type="SecureString",
        allowed_pattern="",
        keyid="alias/aws/ssm",
        overwrite=True,
        tags=[],
        data_type="text",
        tier="Standard",
        policies=None,
    )


def make_subnet(region: str, build: BuildConfig) -> str:
    """A VPC of one subnet, apart from every deployment's: where an operator might bake.

    Returns:
        The subnet's id.
    """
    backend = ec2_backends[ACCOUNT_ID][region]
    vpc = backend.create_vpc(str(build.block))
    subnet = backend.create_subnet(vpc.id, str(build.block), availability_zone=f"{region}a")
    for resource in (vpc, subnet):
        resource.add_tags({"Name": "bakes of a rehearsal"})
    return str(subnet.id)
