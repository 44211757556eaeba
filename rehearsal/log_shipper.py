"""Stand-in for the Amazon CloudWatch agent: sends the log files of every machine to the emulated CloudWatch Logs.

It reads the configuration that the real agent would read on the host, so which file goes to which group and stream is
the product's own. One call for each file with news, every second. Unlike the real agent it makes no log group.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, Field, ValidationError

from rehearsal.places import API_URL
from rehearsal.service import HostFolder
from user_data.cloudwatch_agent import AGENT_CONFIGURATION_PATH

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

INTERVAL_SECONDS = 1.0
# API_PutLogEvents.html: a call takes 10,000 events and 1,048,576 bytes, each event counted with 26 more. So much of a
# file fits even if it is not UTF-8 and every byte becomes three.
BYTES_PER_CALL = 256 * 1024
EVENTS_PER_CALL = 10_000
# Nothing waits for these calls, and what fails is sent a second later.
SHIPPING = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}, proxies={})

log = logging.getLogger(__name__)


class LogFile(BaseModel):
    """One entry of the agent's `collect_list`; `{instance_id}` in the stream's name is the agent's placeholder."""

    file_path: str
    log_group_name: str
    log_stream_name: str


class _Files(BaseModel):
    collect_list: tuple[LogFile, ...]


class _Collected(BaseModel):
    files: _Files


class _Logs(BaseModel):
    logs_collected: _Collected


class _Agent(BaseModel):
    region: str


class AgentConfiguration(BaseModel):
    """The part of the CloudWatch agent's configuration that is about log files."""

    agent: _Agent
    logs: _Logs = Field(description="Files to read.")


@dataclass
class Tail:
    """How far one file of one machine is sent."""

    file: LogFile
    region: str
    sent: int = 0
    seen: int = 0
    stream_made: bool = False


@dataclass
class _Machine:
    instance_id: str
    host: HostFolder
    tails: tuple[Tail, ...] | None = None  # None until user data has written the configuration


def _client(region: str) -> CloudWatchLogsClient:
    session = boto3.Session("rehearsal", "rehearsal", region_name=region)
    return session.client("logs", endpoint_url=API_URL, config=SHIPPING)


@dataclass
class LogShipper:
    """Follows the files of all machines, those that are off too: their last lines come within a second or two."""

    connect: Callable[[str], CloudWatchLogsClient] = _client
    _machines: dict[str, _Machine] = field(default_factory=dict)
    _clients: dict[str, CloudWatchLogsClient] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _faults: list[str] = field(default_factory=list)
    _told: str = ""

    def follow(self, instance_id: str, host: HostFolder) -> None:
        """Send this machine's files from now on; one that was off goes on where it was."""
        self._machines.setdefault(instance_id, _Machine(instance_id, host))

    async def run(self) -> None:
        """Ship once a second until cancelled, in a thread: the calls block."""
        while True:
            await asyncio.to_thread(self.ship)
            await asyncio.sleep(INTERVAL_SECONDS)

    def ship(self) -> int:
        """Send what is new in every file; returns the number of calls that sent something.

        What the API refuses or does not take is sent the next time: no position moves before the answer.
        """
        with self._lock:
            self._faults, calls = [], 0
            try:
                for machine in tuple(self._machines.values()):
                    calls += sum(self._ship_file(machine, tail) for tail in self._tails(machine))
            except BotoCoreError as error:  # nobody answers: the other files would only wait as long
                self._faults.append(f"{type(error).__name__}: {error}")
            self._tell(self._faults[0] if self._faults else "")
            return calls

    def _tell(self, fault: str) -> None:
        if fault and not self._told:  # once per outage
            log.warning("logs are not sent: %s", fault)
        elif self._told and not fault:
            log.info("logs are sent again")
        self._told = fault

    def _tails(self, machine: _Machine) -> tuple[Tail, ...]:
        if machine.tails is None:
            machine.tails = _configured(machine)
        return machine.tails or ()

    def _ship_file(self, machine: _Machine, tail: Tail) -> bool:
        data = _news(machine.host, tail)
        events = _events(data)
        try:
            if events:
                self._put(machine, tail, events)
        except ClientError as error:
            tail.stream_made = False  # its group may have been made anew
            self._faults.append(str(error))
            return False
        tail.sent += len(data)
        return bool(events)

    def _put(self, machine: _Machine, tail: Tail, events: list[InputLogEventTypeDef]) -> None:
        client = self._clients.get(tail.region) or self._clients.setdefault(tail.region, self.connect(tail.region))
        group = tail.file.log_group_name
        stream = tail.file.log_stream_name.replace("{instance_id}", machine.instance_id)
        if not tail.stream_made:
            _make_stream(client, group, stream)
            tail.stream_made = True
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _configured(machine: _Machine) -> tuple[Tail, ...] | None:
    path = machine.host.path(AGENT_CONFIGURATION_PATH)
    try:
        found = AgentConfiguration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:  # the real agent would not start either
        log.warning("%s: %s cannot be used: %s", machine.instance_id, AGENT_CONFIGURATION_PATH, error)
        return ()
    return tuple(Tail(file, found.agent.region) for file in found.logs.logs_collected.files.collect_list)


def _make_stream(client: CloudWatchLogsClient, group: str, stream: str) -> None:
    try:
        client.create_log_stream(logGroupName=group, logStreamName=stream)
    except client.exceptions.ResourceAlreadyExistsException:
        return


def _news(host: HostFolder, tail: Tail) -> bytes:
    """Whole lines that are not sent yet; what has no end yet is sent once it has not grown since the last look."""
    path = host.path(tail.file.file_path)
    try:
        file = path.open("rb")
    except FileNotFoundError:  # not written yet, or the machine's folder was cleared away
        return b""
    with file:
        size = file.seek(0, os.SEEK_END)
        if size < tail.sent:  # logrotate's copytruncate
            tail.sent = 0
        grown, tail.seen = size != tail.seen, size
        file.seek(tail.sent)
        data = file.read(BYTES_PER_CALL)
    lines = data.split(b"\n")[:-1][:EVENTS_PER_CALL]
    if lines:
        return b"".join(line + b"\n" for line in lines)
    return data if len(data) == BYTES_PER_CALL or not grown else b""


def _events(data: bytes) -> list[InputLogEventTypeDef]:
    """One event a line. Without `timestamp_format` the real agent also takes the time at which it reads."""
    now = int(time.time() * 1000)
    events: list[InputLogEventTypeDef] = []
    for line in data.split(b"\n"):
        text = line.decode(errors="replace").strip()
        if text:
            events.append({"timestamp": now, "message": text})
    return events
