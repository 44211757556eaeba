"""An account whose answers are written down beforehand; what is asked besides is an error."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.stub import Stubber

from packer.account import Account

if TYPE_CHECKING:
    from collections.abc import Iterator


class StubbedAccount(Account):
    """Both clients stubbed strictly: in this order, with these words, and all of it."""

    def __init__(self) -> None:
        super().__init__("us-east-1")
        self.of_ec2, self.of_ssm = Stubber(self.ec2), Stubber(self.ssm)

    def parameters_are(self, names: list[str], **values: str) -> None:
        listed = [{"Name": name.replace("__", "/"), "Value": value} for name, value in values.items()]
        self.of_ssm.add_response("get_parameters", {"Parameters": listed}, {"Names": names})

    def image_is(self, image_id: str, **changes: Any) -> None:
        told = {"ImageId": image_id, "Architecture": "x86_64", "State": "available", "RootDeviceName": "/dev/sda1"}
        self.of_ec2.add_response("describe_images", {"Images": [{**told, **changes}]}, {"ImageIds": [image_id]})


@contextmanager
def stubbed() -> Iterator[StubbedAccount]:
    account = StubbedAccount()
    with account.of_ec2, account.of_ssm:
        yield account
        account.of_ec2.assert_no_pending_responses()
        account.of_ssm.assert_no_pending_responses()
