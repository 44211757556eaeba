"""Boot phases are read as agents write them: through the agent's own log, and CloudWatch's answer."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from botocore.stub import ANY, Stubber

from fleet.boot_phases import PAGES, STREAMS, phases_logged
from settings.boots.measured import PhaseLogged
from settings.model import Settings
from user_data.agent.log import Log
from user_data.agent.readiness import PHASES
from user_data.agent.worker import Phases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_logs import CloudWatchLogsClient

SINCE = datetime(2026, 11, 24, 12, tzinfo=UTC)
SETTINGS = Settings()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with Stubber(boto3.client("logs", region_name="us-east-1")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def _read(stub: Stubber) -> tuple[PhaseLogged, ...]:
    return phases_logged(SETTINGS, SETTINGS.workers[0], SINCE, cast("CloudWatchLogsClient", stub.client))


def _event(stream: str, message: str, milliseconds: int = 0) -> dict[str, object]:
    return {"logStreamName": stream, "timestamp": milliseconds, "message": message}


def _asked() -> dict[str, object]:
    since = int(SINCE.timestamp() * 1000)
    return {"logGroupName": ANY, "logStreamNames": ["i-1/agent"], "filterPattern": '"boot_phase"', "startTime": since}


def _streams(stub: Stubber, *names: str) -> None:
    asked = {"logGroupName": ANY, "orderBy": "LastEventTime", "descending": True, "limit": STREAMS}
    stub.add_response("describe_log_streams", {"logStreams": [{"logStreamName": name} for name in names]}, asked)


def test_what_an_agent_logs_is_read(stub: Stubber) -> None:
    written = io.StringIO()
    phases = Phases(Log("worker", written))
    for name in PHASES:
        phases.reached(name)
    lines = written.getvalue().splitlines()
    events = [_event("i-1/agent", line) for line in lines]
    _streams(stub, "i-1/engine", "i-1/agent")
    stub.add_response("filter_log_events", {"events": events}, _asked())
    found = _read(stub)
    assert found == tuple(
        PhaseLogged("i-1", line["phase"], line["host_uptime_seconds"]) for line in map(json.loads, lines)
    )
    assert tuple(phase.phase for phase in found) == PHASES


def test_other_lines_are_left_out_and_pages_are_read_in_the_order_of_time(stub: Stubber) -> None:
    def line(second: int, **fields: object) -> str:
        told = {"time": f"2026-11-24T12:00:{second:02}+00:00", "level": "info", "program": "worker", **fields}
        return json.dumps(told)

    late = line(9, event="boot_phase", phase="first_generation", host_uptime_seconds=90)
    early = line(1, event="boot_phase", phase="key_fetched", host_uptime_seconds=10.5)
    other = line(2, event="engine_starting", message="boot_phase")
    without = line(3, event="boot_phase", phase="engine_spawned")
    first = {"events": [_event("i-1/agent", late), _event("i-1/agent", other)], "nextToken": "more"}
    second = {"events": [_event("i-1/agent", early), _event("i-1/engine", early), _event("i-1/agent", without)]}
    _streams(stub, "i-1/agent")
    stub.add_response("filter_log_events", first, _asked())
    stub.add_response("filter_log_events", second, {**_asked(), "nextToken": "more"})
    assert _read(stub) == (
        PhaseLogged("i-1", "key_fetched", 10.5),
        PhaseLogged("i-1", "first_generation", 90.0),
    )


def test_a_deployment_that_is_not_there_has_none(stub: Stubber) -> None:
    stub.add_client_error("describe_log_streams", "ResourceNotFoundException", http_status_code=400)
    assert _read(stub) == ()


def test_a_group_without_agents_is_not_searched(stub: Stubber) -> None:
    _streams(stub, "i-1/engine")
    assert _read(stub) == ()


def test_a_group_that_has_no_end_is_not_read_to_it(stub: Stubber) -> None:
    _streams(stub, "i-1/agent")
    stub.add_response("filter_log_events", {"events": [], "nextToken": "0"}, _asked())
    for page in range(1, PAGES):
        answer = {"events": [], "nextToken": str(page)}
        stub.add_response("filter_log_events", answer, {**_asked(), "nextToken": str(page - 1)})
    assert _read(stub) == ()
