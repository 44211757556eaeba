"""What an account holds before the first deploy: the images that a bake made, and where it recorded them."""

from __future__ import annotations

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.ssm.models import ssm_backends

from rehearsal.cloud_config import MODEL_DEVICE, BaseImageConfig, CloudConfig, ImageConfig
from rehearsal.emulated_aws.base_images import ROOT_DEVICE, make_subnet, publish_base_images, store_token
from rehearsal.emulated_aws.images import Disk, describe_disks
from rehearsal.places import ACCOUNT_ID

ROOT_DISK = Disk(ROOT_DEVICE, 30)
MODEL_DISK = Disk(MODEL_DEVICE, 8)


def _register(backend: EC2Backend, image: ImageConfig, name: str) -> Ami:
    """Register an image. moto's own register_image drops architecture and root device, which EC2 always reports."""
    ami: Ami = backend.register_image(name, f"{image.role} image of a rehearsal")
    if image.ami is not None:
        del backend.amis[ami.id]
        ami.id = image.ami
        backend.amis[ami.id] = ami
    ami.architecture = image.architecture
    ami.virtualization_type = "hvm"
    ami.root_device_name = ROOT_DEVICE
    ami.root_device_type = "ebs"
    ami.add_tags({**image.tags, "Name": name})
    disks = [ROOT_DISK, MODEL_DISK] if image.role == "worker" else [ROOT_DISK]
    describe_disks(ami, disks, f"Made for {ami.id}")
    return ami


def _record(region: str, parameter: str, ami_id: str) -> None:
    ssm_backends[ACCOUNT_ID][region].put_parameter(
        name=parameter,
        description="Machine image of a rehearsal",
        value=ami_id,
        parameter_type="String",
        allowed_pattern="",
        keyid="",
        overwrite=True,
        tags=[],
        data_type="text",
        tier="Standard",
        policies=None,
    )


def seed(config: CloudConfig) -> dict[str, ImageConfig | BaseImageConfig]:
    """Register every image and record its id in SSM. Where bakes are played, base images and a subnet for them too.

    Returns:
        Which image each id stands for.
    """
    backend = ec2_backends[ACCOUNT_ID][config.region]
    images: dict[str, ImageConfig | BaseImageConfig] = {}
    if config.build is not None:
        images |= publish_base_images(config.region, config.build)
        make_subnet(config.region, config.build)
        store_token(config.region, config.build)
    for number, image in enumerate(config.images):
        ami = _register(backend, image, f"rehearsal-{image.role}-{number}")
        images[ami.id] = image
        if image.parameter is not None:
            _record(config.region, image.parameter, ami.id)
    return images
