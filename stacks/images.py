"""The image that hosts start from: found and checked while Terraform plans, so that a wrong one changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdktf import Fn, Op, Postcondition, TerraformResourceLifecycle, TerraformSelf
from cdktf_cdktf_provider_aws.data_aws_ami import DataAwsAmi, DataAwsAmiFilter
from cdktf_cdktf_provider_aws.data_aws_ami_ids import DataAwsAmiIds, DataAwsAmiIdsFilter
from cdktf_cdktf_provider_aws.data_aws_ssm_parameters_by_path import DataAwsSsmParametersByPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.catalogue import Architecture
    from stacks.base import FleetStack

OWN_ACCOUNT = ("self",)
# What a tag that is not there counts as; cdktf 0.21 takes an empty text for no default at all.
NO_TAG = "none"


@dataclass(frozen=True)
class ImageTag:
    """A tag that an image must have: what the value is called, and whether an image without the tag is taken too."""

    key: str
    value: str
    what: str
    optional: bool = False


@dataclass(frozen=True)
class HostImage:
    """Where the image id comes from (given, or an SSM parameter) and what the image must be.

    `section` is the path of the image's settings. Where these name the image (`ami`) or the parameter
    (`is_own_parameter`), it is the user's own: another account may own it, and its tags count where they are seen,
    which EC2 shows in the owner's account only. `tags` are what a bake says of an image.
    """

    section: str
    ami: str | None
    ssm_parameter: str
    is_own_parameter: bool
    instance_type: str
    architecture: Architecture
    tags: tuple[ImageTag, ...]
    model_device: str | None = None

    def resolve(self, stack: FleetStack) -> str:
        """The image id. Terraform reads and checks it at plan time, so that a new image shows in the plan."""
        image_id = self.ami or self._recorded(stack)
        image = DataAwsAmi(
            stack,
            "image",
            owners=None if self._is_own else list(OWN_ACCOUNT),
            include_deprecated=True,
            filter=[
                DataAwsAmiFilter(
                    name="image-id", values=[image_id if self._is_own else self._existing(stack, image_id)]
                )
            ],
            lifecycle=TerraformResourceLifecycle(postcondition=list(self._conditions())),
        )
        return str(image.id)

    @property
    def _is_own(self) -> bool:
        return self.ami is not None or self.is_own_parameter

    def _recorded(self, stack: FleetStack) -> str:
        """The id that a bake left in SSM.

        Asking for the one parameter would fail in the provider's words when there is none; asking for its folder gives
        an empty list. SecureStrings stay encrypted; of ours, the folder holds image ids only.
        """
        folder = self.ssm_parameter.rpartition("/")[0] or "/"
        found = DataAwsSsmParametersByPath(
            stack,
            "recorded",
            path=folder,
            recursive=False,
            with_decryption=False,
            lifecycle=TerraformResourceLifecycle(
                postcondition=[
                    Postcondition(
                        condition=Fn.contains(TerraformSelf.get_any("names"), self.ssm_parameter),
                        error_message=f"No image is recorded in SSM parameter {self.ssm_parameter}; {self._remedy}.",
                    )
                ]
            ),
        )
        # The provider calls all values of parameters sensitive; an image id is not, and a plan shall show it.
        return str(Fn.nonsensitive(Fn.lookup(Fn.zipmap(found.names, found.values), self.ssm_parameter)))

    def _existing(self, stack: FleetStack, image_id: str) -> str:
        """The id, once it is known that this account has such an image; an empty list is no error of the provider's."""
        found = DataAwsAmiIds(
            stack,
            "found",
            owners=list(OWN_ACCOUNT),
            filter=[
                DataAwsAmiIdsFilter(name="image-id", values=[image_id]),
                DataAwsAmiIdsFilter(name="state", values=["available"]),
            ],
            lifecycle=TerraformResourceLifecycle(
                postcondition=[
                    Postcondition(
                        condition=Op.eq(Fn.length_of(TerraformSelf.get_any("ids")), 1),
                        error_message=f"The image that SSM parameter {self.ssm_parameter} names, {image_id}, does not "
                        f"exist in this account and region, or is not available yet; {self._remedy}.",
                    )
                ]
            ),
        )
        return str(Fn.element(found.ids, 0))

    def _conditions(self) -> Iterator[Postcondition]:
        architecture = TerraformSelf.get_string("architecture")
        yield self._condition(
            Op.eq(architecture, self.architecture),
            f"is for {architecture} processors, and {self.instance_type} has {self.architecture}",
        )
        for tag in self.tags:
            value = Fn.lookup(TerraformSelf.get_any("tags"), tag.key, NO_TAG)
            fits: Any = Op.eq(value, tag.value)
            if tag.optional or self._is_own:
                fits = Op.or_(fits, Op.eq(value, NO_TAG))
            yield self._condition(fits, f'has {tag.what} "{value}", and "{tag.value}" is wanted (tag {tag.key})')
        if self.model_device:
            devices = Fn.lookup_nested(TerraformSelf.get_any("block_device_mappings"), ["*", "device_name"])
            rule = f"has no volume {self.model_device}, which the model is looked for on"
            yield self._condition(Fn.contains(devices, self.model_device), rule)

    def _condition(self, fits: Any, rule: str) -> Postcondition:  # noqa: ANN401 - an expression of Terraform
        image_id = TerraformSelf.get_string("id")
        source = f"{self.section}.ami:" if self.ami else f"The image that SSM parameter {self.ssm_parameter} names,"
        return Postcondition(condition=fits, error_message=f"{source} {image_id}, {rule}; {self._remedy}.")

    @property
    def _remedy(self) -> str:
        """The command that mends it: a bake, which makes no image for those who name their own."""
        if self.ami:
            return "name another image, or leave that key out and run `fleet bake`"
        if self.is_own_parameter:
            return f"record another image there, or leave {self.section}.ssm_parameter out and run `fleet bake`"
        return "run `fleet bake`"
