"""The one edge to AWS that a bake has besides Packer's own: parameters and images of one region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from packer.image import Image, image_of
from settings.naming import TAG_IMAGE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef
    from mypy_boto3_ssm import SSMClient

MOST_PARAMETERS: Final = 10  # SSM API, GetParameters
CONFIG: Final = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 4})
SECURE: Final = "SecureString"
UNKNOWN_IMAGE: Final = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable"})


class Account:
    """What the account of the credentials holds in one region."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.ec2: EC2Client = boto3.client("ec2", region_name=region, config=CONFIG)
        self.ssm: SSMClient = boto3.client("ssm", region_name=region, config=CONFIG)

    def parameters(self, names: Iterable[str]) -> dict[str, str]:
        """Values of the parameters that exist."""
        found: dict[str, str] = {}
        for some in _batches(sorted(set(names)), MOST_PARAMETERS):
            answer = self.ssm.get_parameters(Names=some)
            found |= {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}
        return found

    def secret(self, name: str) -> tuple[str, bool]:
        """A parameter in clear, and whether SSM keeps it encrypted.

        Raises:
            ClientError: it is not there, or may not be read.
        """
        parameter = self.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
        return parameter["Value"], parameter["Type"] == SECURE

    def record(self, parameter: str, image_id: str, description: str) -> None:
        """Write an image's id where the stacks read it."""
        self.ssm.put_parameter(
            Name=parameter, Value=image_id, Type="String", Overwrite=True, Description=description[:1024]
        )

    def images_with_keys(self, keys: Sequence[str]) -> tuple[Image, ...]:
        """The account's own images with any of these content keys."""
        filters: list[FilterTypeDef] = [{"Name": f"tag:{TAG_IMAGE_KEY}", "Values": list(keys)}]
        return self.own_images(filters) if keys else ()

    def own_images(self, filters: Sequence[FilterTypeDef]) -> tuple[Image, ...]:
        """The account's own images that pass the filters."""
        pages = self.ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=list(filters))
        return tuple(image_of(told) for page in pages for told in page["Images"])

    def image(self, image_id: str) -> Image | None:
        """One image, whoever owns it; None when EC2 knows none, or shows it to others only."""
        try:
            told = self.ec2.describe_images(ImageIds=[image_id])["Images"]
        except ClientError as error:
            if error.response["Error"]["Code"] in UNKNOWN_IMAGE:
                return None
            raise
        return image_of(told[0]) if told else None


def _batches(names: Sequence[str], size: int) -> list[list[str]]:
    return [list(names[start : start + size]) for start in range(0, len(names), size)]
