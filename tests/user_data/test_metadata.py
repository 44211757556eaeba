from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from user_data.agent.metadata import MetadataClient, MetadataError

if TYPE_CHECKING:
    from tests.user_data.conftest import MetadataServer

SPOT = "/latest/meta-data/spot/instance-action"
NO_WAITS = (0.0, 0.0)


def test_identity(metadata: MetadataServer) -> None:
    with MetadataClient() as client:
        identity = client.identity()
    assert (identity.instance_id, identity.private_ip) == ("i-0123456789abcdef0", "127.64.9.9")
    assert (identity.region, identity.availability_zone) == ("eu-central-1", "eu-central-1a")
    assert identity.instance_type == "g6e.xlarge"
    assert metadata.requests == ["PUT /latest/api/token", "GET /latest/dynamic/instance-identity/document"]


def test_absent_is_none_and_the_token_is_kept(metadata: MetadataServer) -> None:
    with MetadataClient() as client:
        assert client.get(SPOT) is None
        metadata.values[SPOT] = "soon"
        assert client.get(SPOT) == "soon"
    assert sum(request.startswith("PUT") for request in metadata.requests) == 1


def test_an_expired_token_is_renewed(metadata: MetadataServer) -> None:
    with MetadataClient() as client:
        client.get(SPOT)
        metadata.tokens.clear()
        assert client.get(SPOT) is None
    assert sum(request.startswith("PUT") for request in metadata.requests) == 2


def test_failures_are_retried(metadata: MetadataServer) -> None:
    metadata.failures = 2
    with MetadataClient(waits=NO_WAITS) as client:
        assert client.get(SPOT) is None


def test_failures_end_in_an_error_and_never_in_none(metadata: MetadataServer) -> None:
    with MetadataClient(waits=NO_WAITS) as client:
        client.get(SPOT)
        metadata.failures = 3
        with pytest.raises(MetadataError, match="answered 503"):
            client.get(SPOT)


def test_no_service_is_an_error() -> None:
    with (
        MetadataClient("http://127.64.9.1:9", waits=NO_WAITS) as client,
        pytest.raises(MetadataError, match="no answer from the metadata service"),
    ):
        client.identity()


def test_a_document_without_an_address_is_an_error(metadata: MetadataServer) -> None:
    metadata.values["/latest/dynamic/instance-identity/document"] = '{"instanceId": "i-1"}'
    with MetadataClient() as client, pytest.raises(MetadataError, match="privateIp"):
        client.identity()


def test_the_address_is_in_one_file() -> None:
    folder = Path(__file__).parents[2] / "user_data"
    holders = [path.name for path in folder.rglob("*") if path.is_file() and b"169.254" in path.read_bytes()]
    assert [name for name in holders if not name.endswith(".pyc")] == ["metadata.py"]
