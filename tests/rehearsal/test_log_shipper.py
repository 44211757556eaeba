"""The stand-in for the CloudWatch agent, with a client in memory that can fail."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rehearsal import log_shipper
from rehearsal.log_shipper import LogShipper
from rehearsal.service import HostFolder
from tests.user_data.nodes import WORKER, node
from user_data.cloudwatch_agent import AGENT_CONFIGURATION_PATH, agent_configuration
from user_data.node_config import AGENT_LOG, ENGINE_LOG

if TYPE_CHECKING:
    from pathlib import Path

NODE = node(worker=WORKER)
GROUP = NODE.logs.group


class AlreadyExistsError(Exception):
    pass


class Exceptions:
    ResourceAlreadyExistsException = AlreadyExistsError


@dataclass
class FakeLogs:
    """CloudWatch Logs with one group; `faults` are raised one after the other."""

    streams: dict[str, list[str]] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    puts: int = 0
    exceptions: type[Exceptions] = Exceptions

    def create_log_stream(self, *, logGroupName: str, logStreamName: str) -> None:  # noqa: N803 - boto3's names
        assert logGroupName == GROUP
        if logStreamName in self.streams:
            raise AlreadyExistsError
        self.streams[logStreamName] = []

    def put_log_events(self, *, logGroupName: str, logStreamName: str, logEvents: list[dict[str, Any]]) -> None:  # noqa: N803
        assert logGroupName == GROUP
        if self.faults:
            raise self.faults.pop(0)
        assert 0 < len(logEvents) <= 10_000
        assert all(event["message"].strip() for event in logEvents)
        self.puts += 1
        self.streams[logStreamName] += [event["message"] for event in logEvents]


@dataclass
class World:
    logs: FakeLogs
    shipper: LogShipper
    host: HostFolder

    def write(self, text: str, path: str = AGENT_LOG) -> None:
        place = self.host.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", newline="") as file:
            file.write(text)

    def configure(self) -> None:
        path = self.host.path(AGENT_CONFIGURATION_PATH)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(agent_configuration(NODE)))

    @property
    def agent(self) -> list[str]:
        return self.logs.streams.get("i-1/agent", [])


@pytest.fixture
def world(tmp_path: Path) -> World:
    logs = FakeLogs()
    made = World(logs, LogShipper(lambda _region: logs), HostFolder(tmp_path))  # type: ignore[arg-type, return-value]
    made.configure()
    made.shipper.follow("i-1", made.host)
    return made


def test_the_hosts_own_configuration_says_which_file_goes_where(world: World) -> None:
    world.write("one\ntwo\n")
    world.write("loading\n", ENGINE_LOG)
    assert world.shipper.ship() == 2
    assert world.logs.streams == {"i-1/agent": ["one", "two"], "i-1/engine": ["loading"]}


def test_a_file_without_news_costs_no_call(world: World) -> None:
    world.write("one\n")
    world.shipper.ship()
    assert world.shipper.ship() == 0
    world.write("\n\n")
    assert world.shipper.ship() == 0
    assert world.logs.puts == 1


def test_a_machine_that_has_not_booted_yet_is_waited_for(tmp_path: Path) -> None:
    logs = FakeLogs()
    late = World(logs, LogShipper(lambda _region: logs), HostFolder(tmp_path))  # type: ignore[arg-type, return-value]
    late.shipper.follow("i-1", late.host)
    late.write("early\n")
    assert late.shipper.ship() == 0
    late.configure()
    assert late.shipper.ship() == 1
    assert late.agent == ["early"]


def test_half_a_line_waits_for_its_end_or_for_silence(world: World) -> None:
    world.write("whole\nha")
    world.shipper.ship()
    world.write("lf")
    world.shipper.ship()
    assert world.agent == ["whole"]
    world.shipper.ship()
    assert world.agent == ["whole", "half"]


def test_lines_written_while_the_api_is_away_arrive_once_and_in_order(world: World) -> None:
    refused = ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "no"}}, "PutLogEvents")
    world.logs.faults = [EndpointConnectionError(endpoint_url="http://logs"), refused]
    world.write("one\n")
    assert world.shipper.ship() == 0
    world.write("two\n")
    assert world.shipper.ship() == 0
    world.write("three\n")
    assert world.shipper.ship() == 1
    assert world.agent == ["one", "two", "three"]


def test_a_file_that_is_refused_does_not_hold_up_the_others(world: World) -> None:
    world.logs.faults = [ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, "PutLogEvents")]
    world.write("loading\n", ENGINE_LOG)  # the first in the configuration
    world.write("one\n")
    assert world.shipper.ship() == 1
    assert world.agent == ["one"]
    assert world.shipper.ship() == 1
    assert world.logs.streams["i-1/engine"] == ["loading"]


def test_a_machine_that_comes_back_goes_on_where_it_was(world: World) -> None:
    world.write("one\n")
    world.shipper.ship()
    world.shipper.follow("i-1", world.host)
    world.write("two\n")
    world.shipper.ship()
    assert world.agent == ["one", "two"]


def test_a_rotated_file_is_read_from_its_beginning(world: World) -> None:
    world.write("a long line of the old file\n")
    world.shipper.ship()
    world.host.path(AGENT_LOG).write_text("new\n")
    world.shipper.ship()
    assert world.agent == ["a long line of the old file", "new"]


def test_more_than_a_call_takes_is_sent_in_several(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_shipper, "EVENTS_PER_CALL", 3)
    monkeypatch.setattr(log_shipper, "BYTES_PER_CALL", 20)
    lines = [f"line {number}" for number in range(8)]
    world.write("\n".join([*lines, "x" * 30]) + "\n")
    calls = [world.shipper.ship() for _ in range(8)]
    assert world.agent[:8] == lines
    assert "".join(world.agent[8:]) == "x" * 30
    assert calls[-1] == 0
