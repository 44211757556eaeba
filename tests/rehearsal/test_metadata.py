"""The metadata service answers as EC2's does, version 2 only."""

from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus

import pytest

from rehearsal.emulated_aws.inventory import Instance, Profile
from rehearsal.http_server import BadRequestError, Request, Response, parse_head
from rehearsal.metadata import TOKEN_HEADER, TOKEN_PATH, TOKEN_TTL_HEADER, MetadataService

pytestmark = pytest.mark.slow  # importing moto takes two seconds

INSTANCE = Instance(
    id="i-0123456789abcdef0",
    state="running",
    image_id="ami-1",
    instance_type="g6e.xlarge",
    private_ip="127.64.0.4",
    private_dns="ip-127-64-0-4.ec2.internal",
    region="us-east-1",
    zone="us-east-1a",
    zone_id="use1-az6",
    subnet_id="subnet-1",
    vpc_id="vpc-1",
    mac="02:00:00:00:00:01",
    architecture="x86_64",
    launch_time="2026-01-01T00:00:00Z",
    ami_launch_index=0,
    security_groups=("workers",),
    user_data=b"#cloud-config\n",
    profile=Profile("arn:aws:iam::123456789012:instance-profile/p", "AIPA1", "worker-role"),
    tags_in_metadata=True,
    terminate_on_shutdown=True,
    tags={"Name": "w"},
)


class Clock:
    """Time that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def token(service: MetadataService, ttl: str = "60") -> Response:
    return service.handle(Request("PUT", TOKEN_PATH, {TOKEN_TTL_HEADER: ttl}))


def get(service: MetadataService, path: str, of: str) -> Response:
    return service.handle(Request("GET", f"/latest/{path}", {TOKEN_HEADER: of}))


def ask(path: str, instance: Instance | None = INSTANCE) -> Response:
    service = MetadataService(lambda: instance)
    return get(service, path, token(service).body.decode())


def test_nothing_is_told_without_a_token_or_with_an_old_one() -> None:
    clock = Clock()
    service = MetadataService(lambda: INSTANCE, clock)
    assert service.handle(Request("GET", "/latest/meta-data/instance-id", {})).status == HTTPStatus.UNAUTHORIZED
    assert get(service, "meta-data/instance-id", "made up").status == HTTPStatus.UNAUTHORIZED
    good = token(service).body.decode()
    assert get(service, "meta-data/instance-id", good).body == INSTANCE.id.encode()
    clock.now = 61.0
    assert get(service, "meta-data/instance-id", good).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("ttl", ["", "0", "21601", "a minute", "-1"])
def test_a_token_needs_a_lifetime_that_ec2_takes(ttl: str) -> None:
    assert token(MetadataService(lambda: INSTANCE), ttl).status == HTTPStatus.BAD_REQUEST


def test_a_proxied_token_request_is_refused() -> None:
    headers = {TOKEN_TTL_HEADER: "60", "x-forwarded-for": "10.0.0.1"}
    assert MetadataService(lambda: INSTANCE).handle(Request("PUT", TOKEN_PATH, headers)).status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("meta-data/local-ipv4", "127.64.0.4"),
        ("meta-data/placement/availability-zone", "us-east-1a"),
        ("meta-data/placement/region", "us-east-1"),
        ("meta-data/instance-type", "g6e.xlarge"),
        ("meta-data/tags/instance/Name", "w"),
        ("meta-data/iam/security-credentials/", "worker-role"),
        ("meta-data/placement", "availability-zone\navailability-zone-id\nregion"),
        ("user-data", "#cloud-config\n"),
    ],
)
def test_values_and_listings(path: str, value: str) -> None:
    assert ask(path).body.decode() == value


def test_credentials_are_the_roles_and_end_later() -> None:
    found = json.loads(ask("meta-data/iam/security-credentials/worker-role").body)
    assert found["Code"] == "Success"
    assert found["Expiration"] > found["LastUpdated"]


def test_the_identity_document_is_the_instances_own() -> None:
    document = json.loads(ask("dynamic/instance-identity/document").body)
    assert (document["instanceId"], document["region"]) == (INSTANCE.id, "us-east-1")


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("meta-data/spot/instance-action", INSTANCE),
        ("meta-data/tags/instance/Name", replace(INSTANCE, tags_in_metadata=False)),
        ("meta-data/iam/info", replace(INSTANCE, profile=None)),
        ("user-data", replace(INSTANCE, user_data=None)),
        ("meta-data/instance-id", None),
    ],
)
def test_what_is_not_there_is_not_found(path: str, instance: Instance | None) -> None:
    assert ask(path, instance).status == HTTPStatus.NOT_FOUND


def test_a_request_head_is_parsed_and_nonsense_refused() -> None:
    request = parse_head(b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Y:  z ")
    assert (request.method, request.path, request.headers) == ("GET", "/a", {"host": "x", "x-y": "z"})
    with pytest.raises(BadRequestError, match="not a request line"):
        parse_head(b"hello")
