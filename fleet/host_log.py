"""What a host wrote, read from CloudWatch Logs: also of a host that is gone. One stream per program of an instance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from fleet.fleet_view import LOOKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_logs import CloudWatchLogsClient

AGENT, ENGINE, BOOT = "agent", "engine", "cloud-init"
"""Streams of a worker are INSTANCE/PROGRAM, with these programs: see `user_data.cloudwatch_agent.log_files`."""

NOT_READY, UNHEALTHY = "worker_not_ready", "worker_unhealthy"
"""Events with which a worker's agent gives up."""

MILLISECONDS = 1000


class AgentEvent(BaseModel):
    """One line of the agent's log (`user_data.agent.log`); fields that are not named here are kept as extras."""

    model_config = ConfigDict(frozen=True, extra="allow")

    time: AwareDatetime
    level: str
    event: str
    program: str = ""
    phase: str | None = None
    reason: str | None = None
    last_failure: str | None = None
    message: str | None = None
    engine_log: tuple[str, ...] | str = ()

    @property
    def log_tail(self) -> tuple[str, ...]:
        """The end of the engine's log, when the event carries it."""
        return tuple(self.engine_log.splitlines()) if isinstance(self.engine_log, str) else self.engine_log

    @property
    def words(self) -> str:
        """The event with its fields, without the engine's log."""
        shown = self.model_dump(exclude={"time", "level", "program", "event", "engine_log"}, exclude_none=True)
        return " ".join([self.event, *(f"{name}={value}" for name, value in shown.items() if value != "")])


@dataclass(frozen=True)
class LogLine:
    """One line of one stream; `event` is what the agent's own lines say."""

    instance_id: str
    program: str
    time: datetime
    text: str
    event: AgentEvent | None = None


def parse_line(stream: str, milliseconds: int, text: str) -> LogLine:
    """Return the line; one of the agent has its own time, since the log's is when it was read on the host."""
    instance_id, _, program = stream.partition("/")
    shipped = datetime.fromtimestamp(milliseconds / MILLISECONDS, UTC)
    try:
        event = AgentEvent.model_validate_json(text) if program == AGENT else None
    except ValidationError:
        event = None  # a traceback, or what systemd notes in between
    return LogLine(instance_id, program, event.time if event else shipped, text, event)


class HostLogs:
    """The log groups of the deployment's workers."""

    def __init__(self, client: CloudWatchLogsClient) -> None:
        """Use `connect` outside tests."""
        self._client = client

    @classmethod
    def connect(cls, region: str) -> HostLogs:
        """Return the logs of a region."""
        return cls(boto3.client("logs", region_name=region, config=LOOKING))

    def last_lines(self, group: str, instance_id: str, program: str, limit: int) -> tuple[LogLine, ...]:
        """Return up to `limit` (at most 10,000) of the last lines, oldest first; none when there is no such stream.

        Raises:
            ClientError: AWS refused.
            BotoCoreError: AWS cannot be reached.
        """
        stream = f"{instance_id}/{program}"
        try:
            answer = self._client.get_log_events(
                logGroupName=group, logStreamName=stream, limit=limit, startFromHead=False
            )
        except self._client.exceptions.ResourceNotFoundException:
            return ()
        return tuple(parse_line(stream, event["timestamp"], event["message"]) for event in answer["events"])

    def given_up(self, group: str, since: datetime) -> tuple[LogLine, ...]:
        """Return the lines with which workers gave up after `since`.

        Raises:
            ClientError: AWS refused.
            BotoCoreError: AWS cannot be reached.
        """
        lines = (line for name in (NOT_READY, UNHEALTHY) for line in self._matching(group, name, since))
        return tuple(line for line in lines if line.event and line.event.event in {NOT_READY, UNHEALTHY})

    def _matching(self, group: str, word: str, since: datetime) -> Iterator[LogLine]:
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=group, filterPattern=f'"{word}"', startTime=int(since.timestamp() * MILLISECONDS)
        )
        try:
            for page in pages:
                for event in page["events"]:
                    yield parse_line(event["logStreamName"], event["timestamp"], event["message"])
        except self._client.exceptions.ResourceNotFoundException:
            return  # the group goes with the logs stack, the workers may outlive it
