"""Actions of the emulated AWS are counted by the names that IAM has for them, and denied as each protocol does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

pytest.importorskip("moto")

from botocore.config import Config
from botocore.exceptions import ClientError

from rehearsal import leftovers
from rehearsal.emulated_aws.calls import Calls, changes_something
from rehearsal.emulated_aws.server import ApiServer

HOST, PORT = "127.64.255.253", 4597
REGION = "us-east-1"
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=120, proxies={})


@pytest.mark.parametrize(
    ("action", "changes"),
    [
        ("ec2:DescribeImages", False),
        ("ssm:GetParameter", False),
        ("iam:ListRoles", False),
        ("s3:GET", False),
        ("s3:HEAD", False),
        ("ec2:CreateImage", True),
        ("ssm:PutParameter", True),
        ("ec2:RunInstances", True),
        ("ec2:DeregisterImage", True),
        ("s3:PUT", True),
    ],
)
def test_what_changes_something_is_told_by_its_verb(action: str, changes: bool) -> None:
    assert changes_something(action) is changes


@pytest.fixture(scope="module")
def server() -> Iterator[Calls]:
    calls = Calls()
    api = ApiServer(HOST, PORT, calls=calls)
    api.start()
    yield calls
    api.stop()


def client(service: str, **named: Any) -> Any:
    session = boto3.Session(region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    named.setdefault("config", ONCE)
    return session.client(service, endpoint_url=f"http://{HOST}:{PORT}", **named)  # type: ignore[call-overload]


@pytest.mark.slow
def test_calls_are_counted_and_the_rehearsals_own_are_not(server: Calls) -> None:
    before = server.counted()
    client("ec2").describe_key_pairs()
    client("ec2").describe_key_pairs()
    client("ssm").describe_parameters()
    client("s3").list_buckets()
    client("sts").get_caller_identity()
    client("ec2", config=leftovers.CONFIG).describe_volumes()
    made = {name: count - before.get(name, 0) for name, count in server.counted().items()}
    assert {name: count for name, count in made.items() if count} == {
        "ec2:DescribeKeyPairs": 2,
        "ssm:DescribeParameters": 1,
        "s3:GET": 1,
        "sts:GetCallerIdentity": 1,
    }


@pytest.mark.slow
def test_a_denied_action_has_no_effect_and_says_its_name(server: Calls) -> None:
    server.deny(["ec2:CreateKeyPair", "ssm:PutParameter"])
    with pytest.raises(ClientError, match="not authorized to perform: ec2:CreateKeyPair") as caught:
        client("ec2").create_key_pair(KeyName="mine")
    assert caught.value.response["Error"]["Code"] == "UnauthorizedOperation"
    with pytest.raises(ClientError, match="ssm:PutParameter") as caught:
        client("ssm").put_parameter(Name="/mine", Value="x", Type="String")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert client("ec2").describe_key_pairs()["KeyPairs"] == []
    server.deny([])
    client("ec2").create_key_pair(KeyName="mine")
    client("ec2").delete_key_pair(KeyName="mine")
