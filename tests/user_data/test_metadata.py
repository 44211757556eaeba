from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from user_data.agent.metadata import MetadataClient, MetadataError, SpotNotice

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


def test_the_signals_of_a_worker_in_no_trouble(metadata: MetadataServer) -> None:
    metadata.values["/latest/meta-data/autoscaling/target-lifecycle-state"] = "InService"
    with MetadataClient() as client:
        assert client.target_lifecycle_state() == "InService"
        assert client.spot_notice() is None
        assert not client.rebalance_recommended()


def test_the_signals_of_a_worker_that_ec2_takes_back(metadata: MetadataServer) -> None:
    metadata.values[SPOT] = '{"action": "terminate", "time": "2026-11-23T08:22:00Z"}'
    metadata.values["/latest/meta-data/events/recommendations/rebalance"] = '{"noticeTime": "2026-11-23T08:20:00Z"}'
    with MetadataClient() as client:
        assert client.target_lifecycle_state() is None
        notice = client.spot_notice()
        assert client.rebalance_recommended()
    assert notice == SpotNotice(action="terminate", time=datetime(2026, 11, 23, 8, 22, tzinfo=UTC))


def test_a_notice_that_cannot_be_read_is_an_error(metadata: MetadataServer) -> None:
    metadata.values[SPOT] = "soon"
    with MetadataClient() as client, pytest.raises(MetadataError, match="instance-action: cannot read 'soon'"):
        client.spot_notice()


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
