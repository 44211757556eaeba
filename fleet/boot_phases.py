"""What a pool's agents logged of their boots lately, for `fleet plan` to show beside the prediction."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import boto3

from fleet.fleet_view import LOOKING
from fleet.host_log import AGENT, MILLISECONDS, parse_line
from settings.boots.measured import PhaseLogged
from settings.naming import log_group, workers_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_logs import CloudWatchLogsClient

    from fleet.host_log import LogLine
    from settings.model import Settings
    from settings.workers import WorkerPool

STREAMS: Final = 50
"""The most that one call gives: those of about a dozen hosts, since each has a stream for every program."""
PAGES: Final = 20
"""CloudWatch reads every line to find the few that are asked for; so many answers take less than a plan does."""
EVENT: Final = "boot_phase"
UPTIME: Final = "host_uptime_seconds"
"""As `user_data.agent.worker.Phases` writes them, and the saved query `boot-phases` reads them."""


def phases_logged(
    settings: Settings, pool: WorkerPool, since: datetime, client: CloudWatchLogsClient | None = None
) -> tuple[PhaseLogged, ...]:
    """Return the phases that the pool's newest agents logged after `since`, oldest first; none without a log group.

    Raises:
        ClientError: AWS refused.
        BotoCoreError: AWS cannot be reached.
    """
    logs = client or boto3.client("logs", region_name=settings.region, config=LOOKING)
    lines = sorted(_lines(logs, log_group(settings, workers_stack(pool.name)), since), key=lambda line: line.time)
    return tuple(phase for line in lines for phase in _phase(line))


def _lines(client: CloudWatchLogsClient, group: str, since: datetime) -> Iterator[LogLine]:
    try:
        newest = client.describe_log_streams(
            logGroupName=group, orderBy="LastEventTime", descending=True, limit=STREAMS
        )["logStreams"]
    except client.exceptions.ResourceNotFoundException:
        return
    agents = [name for stream in newest if (name := stream.get("logStreamName", "")).endswith(f"/{AGENT}")]
    if not agents:
        return
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        logStreamNames=agents,
        filterPattern=f'"{EVENT}"',
        startTime=int(since.timestamp() * MILLISECONDS),
    )
    for page in islice(pages, PAGES):
        for event in page["events"]:
            yield parse_line(event["logStreamName"], event["timestamp"], event["message"])


def _phase(line: LogLine) -> Iterator[PhaseLogged]:
    """A line of another event may have the word in it; an agent of an older image may log without the uptime."""
    event = line.event
    if event is None or event.event != EVENT or event.phase is None:
        return
    uptime = (event.model_extra or {}).get(UPTIME)
    if isinstance(uptime, int | float):
        yield PhaseLogged(line.instance_id, event.phase, float(uptime))
