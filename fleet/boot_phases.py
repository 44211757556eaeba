"""What a pool's agents logged of their boots lately, for `fleet plan` to show beside the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import boto3

from fleet.fleet_view import LOOKING
from fleet.host_log import MILLISECONDS, parse_line
from settings.boots.measured import PhaseLogged
from settings.naming import log_group, workers_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_logs import CloudWatchLogsClient

    from fleet.host_log import LogLine
    from settings.model import Settings
    from settings.workers import WorkerPool

EVENT: Final = "boot_phase"
UPTIME: Final = "host_uptime_seconds"
"""As `user_data.agent.worker.Phases` writes them, and the saved query `boot-phases` reads them."""


def phases_logged(
    settings: Settings, pool: WorkerPool, since: datetime, client: CloudWatchLogsClient | None = None
) -> tuple[PhaseLogged, ...]:
    """Return the phases that the pool's agents logged after `since`, oldest first; none without a log group.

    Raises:
        ClientError: AWS refused.
        BotoCoreError: AWS cannot be reached.
    """
    logs = client or boto3.client("logs", region_name=settings.region, config=LOOKING)
    lines = sorted(_lines(logs, log_group(settings, workers_stack(pool.name)), since), key=lambda line: line.time)
    return tuple(phase for line in lines for phase in _phase(line))


def _lines(client: CloudWatchLogsClient, group: str, since: datetime) -> Iterator[LogLine]:
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern=f'"{EVENT}"', startTime=int(since.timestamp() * MILLISECONDS)
    )
    try:
        for page in pages:
            for event in page["events"]:
                yield parse_line(event["logStreamName"], event["timestamp"], event["message"])
    except client.exceptions.ResourceNotFoundException:
        return


def _phase(line: LogLine) -> Iterator[PhaseLogged]:
    """A line of another event may have the word in it; an agent of an older image may log without the uptime."""
    event = line.event
    if event is None or event.event != EVENT or event.phase is None:
        return
    uptime = (event.model_extra or {}).get(UPTIME)
    if isinstance(uptime, int | float):
        yield PhaseLogged(line.instance_id, event.phase, float(uptime))
