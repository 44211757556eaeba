"""The AWS API's faults as botocore meets them, and the rehearsal's own clients, which do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

pytest.importorskip("moto")

from rehearsal import leftovers
from rehearsal.emulated_aws.faults import ApiFaults
from rehearsal.emulated_aws.server import ApiServer
from rehearsal.orders import AwsFault

pytestmark = pytest.mark.slow  # importing moto takes two seconds

# Not the rehearsal's own address: one may be running on this machine.
HOST, PORT = "127.64.255.253", 4598
IMPATIENT = Config(retries={"total_max_attempts": 1}, read_timeout=0.4, proxies={})

CALLS: dict[str, Callable[[Any], Any]] = {
    "ec2": lambda api: api.describe_instances(),
    "autoscaling": lambda api: api.describe_auto_scaling_groups(),
    "sts": lambda api: api.get_caller_identity(),
    "ssm": lambda api: api.describe_parameters(),
    "logs": lambda api: api.describe_log_groups(),
    "cloudwatch": lambda api: api.list_metrics(),
    "s3": lambda api: api.list_buckets(),
}


@pytest.fixture(scope="module")
def api() -> Iterator[ApiFaults]:
    faults = ApiFaults()
    server = ApiServer(HOST, PORT, faults)
    server.start()
    for service in CALLS:  # moto imports a service at its first call
        call(service, leftovers.CONFIG)
    yield faults
    server.stop()


@pytest.fixture
def faults(api: ApiFaults) -> Iterator[ApiFaults]:
    yield api
    api.set(None)


def call(service: str, config: Config = IMPATIENT) -> Any:
    session = boto3.Session(region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return CALLS[service](session.client(service, endpoint_url=f"http://{HOST}:{PORT}", config=config))  # type: ignore[call-overload]


@pytest.mark.parametrize("service", ["ec2", "ssm", "s3"])
def test_an_api_that_is_down_closes_the_connection(faults: ApiFaults, service: str) -> None:
    faults.set(AwsFault(kind="down"))
    with pytest.raises(ConnectionClosedError):
        call(service)
    faults.set(None)
    call(service)


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "RequestLimitExceeded", 503),
        ("autoscaling", "Throttling", 400),
        ("sts", "Throttling", 400),
        ("ssm", "ThrottlingException", 400),
        ("logs", "ThrottlingException", 400),
        ("cloudwatch", "ThrottlingException", 400),
        ("s3", "SlowDown", 503),
    ],
)
def test_throttling_is_the_services_own(faults: ApiFaults, service: str, code: str, status: int) -> None:
    faults.set(AwsFault(kind="throttled"))
    with pytest.raises(ClientError) as caught:
        call(service)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.mark.parametrize("service", ["ec2", "autoscaling", "ssm", "s3"])
def test_botocore_takes_it_for_throttling_and_tries_again(faults: ApiFaults, service: str) -> None:
    faults.set(AwsFault(kind="throttled", share=0.5))
    call(service)
    again = call(service, Config(retries={"total_max_attempts": 2, "mode": "standard"}, proxies={}))
    assert again["ResponseMetadata"]["RetryAttempts"] == 1


def test_a_slow_api_answers_late(faults: ApiFaults) -> None:
    faults.set(AwsFault(kind="slow", seconds=0.7))
    with pytest.raises(ReadTimeoutError):
        call("ec2")
    begun = time.monotonic()
    call("ec2", Config(read_timeout=5, proxies={}))
    assert 0.7 <= time.monotonic() - begun < 5  # what the client waits for at most


@pytest.mark.parametrize(
    "fault",
    [AwsFault(kind="down"), AwsFault(kind="throttled"), AwsFault(kind="slow", seconds=60)],
    ids=lambda f: f.kind,
)
def test_the_rehearsals_own_clients_meet_none(faults: ApiFaults, fault: AwsFault) -> None:
    faults.set(fault)
    begun = time.monotonic()
    for service in CALLS:
        assert call(service, leftovers.CONFIG)["ResponseMetadata"]["RetryAttempts"] == 0
    assert time.monotonic() - begun < 40  # a busy machine has taken 9 s


def test_a_share_is_met_exactly_and_evenly() -> None:
    faults = ApiFaults()
    faults.set(AwsFault(kind="throttled", share=0.25))
    met = [faults.of_call("Boto3") is not None for _ in range(12)]
    assert met == [False, False, False, True] * 3
