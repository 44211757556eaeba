"""What a scenario can order on the control port, and what a host then reads."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("moto")

from rehearsal.control import Control
from rehearsal.emulated_aws.market import Market, Notices
from rehearsal.emulated_aws.scaling_groups import WORLD
from rehearsal.http_server import Request
from rehearsal.metadata import leaves

from ..test_metadata import INSTANCE  # noqa: TID252 - its sample host

pytestmark = pytest.mark.slow  # importing moto takes two seconds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPOT = "meta-data/spot/instance-action"
REBALANCE = "meta-data/events/recommendations/rebalance"
TARGET = "meta-data/autoscaling/target-lifecycle-state"


def order(path: str, body: object) -> HTTPStatus:
    supervisor: Any = SimpleNamespace(config=SimpleNamespace(region="us-east-2"))
    control = Control(supervisor, asyncio.Event())
    return control.handle(Request("POST", path, {}, json.dumps(body).encode())).status


def test_orders() -> None:
    assert order("/capacity", {"zone": "us-east-2a", "available": False}) == HTTPStatus.OK
    assert WORLD.market.without_capacity == {"us-east-2a"}
    assert order("/capacity", {"zone": "us-east-2a", "available": True}) == HTTPStatus.OK
    assert WORLD.market.without_capacity == set()
    assert order("/spot-notice", {"instance": "i-none"}) == HTTPStatus.BAD_REQUEST
    assert order("/rebalance", {"instance": "i-none"}) == HTTPStatus.BAD_REQUEST
    assert order("/spot-notice", {"zone": 1}) == HTTPStatus.BAD_REQUEST
    assert order("/nonsense", {}) == HTTPStatus.BAD_REQUEST


def test_a_host_reads_its_target_state_and_a_notice_only_when_there_is_one() -> None:
    assert not {SPOT, REBALANCE, TARGET} & leaves(INSTANCE, NOW).keys()
    told = replace(INSTANCE, target_state="InService", notices=Notices(NOW, None))
    found = leaves(told, NOW)
    assert found[TARGET] == "InService"
    assert json.loads(found[REBALANCE]) == {"noticeTime": "2026-01-01T00:00:00Z"}
    assert SPOT not in found
    found = leaves(replace(told, notices=Notices(NOW, NOW + timedelta(minutes=2))), NOW)
    assert json.loads(found[SPOT]) == {"action": "terminate", "time": "2026-01-01T00:02:00Z"}


def test_a_recommendation_may_come_before_the_notice_and_a_notice_counts_once() -> None:
    market = Market()
    market.recommend_rebalance("i-1", NOW)
    market.interrupt("i-1", NOW + timedelta(minutes=5))
    market.interrupt("i-1", NOW + timedelta(minutes=6))
    assert market.notices["i-1"] == Notices(NOW, NOW + timedelta(minutes=7))
    assert market.due(NOW + timedelta(minutes=6)) == ()
    assert market.due(NOW + timedelta(minutes=7)) == ("i-1",)
    assert market.due(NOW + timedelta(minutes=7)) == ()
