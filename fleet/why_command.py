"""`fleet why`: why workers do not serve, or did not; one paragraph each. `fleet why INSTANCE` tells one's whole life.

Everything is read from AWS, so it works for instances that are gone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.aws_errors import explained_look
from fleet.fleet_view import NotFoundError, read_fleet
from fleet.host_log import AGENT, BOOT, ENGINE, HostLogs
from fleet.options import EnvironmentOption, SetOption, choose
from fleet.reasons import Evidence, Finding, Moment, explain, failed_launches, suspects, timeline
from settings.naming import log_group, workers_stack

if TYPE_CHECKING:
    from fleet.fleet_view import FleetView, Pool
    from fleet.host_log import LogLine
    from settings.model import Settings

RECENT = timedelta(hours=1)
LIFE = timedelta(weeks=6)  # as long as Auto Scaling remembers activities
AGENT_LINES, OUTPUT_LINES = 1000, 40
InstanceArgument = Annotated[
    str | None, typer.Argument(metavar="[INSTANCE_ID]", help="Tell the life of this instance.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
command = typer.Typer(add_completion=False)


@command.command()
@explained_look
def why(
    instance_id: InstanceArgument = None,
    environment: EnvironmentOption = None,
    overrides: SetOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Say why workers do not serve, or left in the last hour without serving or as unhealthy.

    Exit code: 0 it is told, 2 it cannot be found out.
    """
    settings, now = choose(environment, overrides).settings, datetime.now(UTC)
    logs = HostLogs.connect(settings.region)
    if instance_id:
        moments = _life(settings, read_fleet(settings, now - LIFE), logs, instance_id)
        told = "\n".join(_moment(moment) for moment in moments)
        shown: object = [asdict(moment) for moment in moments]
    else:
        fleet = read_fleet(settings, now - RECENT)
        findings = [finding for pool in fleet.pools for finding in _findings(settings, pool, logs, now - RECENT)]
        told = paragraphs(fleet, findings)
        shown = {"complete": fleet.complete, "findings": [asdict(finding) for finding in findings]}
    typer.echo(json.dumps(shown, indent=1, default=datetime.isoformat) if as_json else told)


def _findings(settings: Settings, pool: Pool, logs: HostLogs, since: datetime) -> list[Finding]:
    group = _log_group(settings, pool)
    names = suspects(pool, logs.given_up(group, since), since)
    return [*failed_launches(pool, since), *(explain(_evidence(group, pool, logs, name)) for name in names)]


def _evidence(group: str, pool: Pool, logs: HostLogs, name: str) -> Evidence:
    agent = logs.last_lines(group, name, AGENT, AGENT_LINES)
    program = ENGINE if agent else BOOT  # a host whose agent is silent did not come that far
    return Evidence(
        instance_id=name,
        pool=pool.name,
        worker=next((worker for worker in pool.workers if worker.instance_id == name), None),
        activities=tuple(entry for entry in pool.activities if entry.instance_id == name),
        agent=agent,
        output=logs.last_lines(group, name, program, OUTPUT_LINES),
    )


def _life(settings: Settings, fleet: FleetView, logs: HostLogs, name: str) -> tuple[Moment, ...]:
    activities = [entry for pool in fleet.pools for entry in pool.activities if entry.instance_id == name]
    lines: list[LogLine] = []
    for group in (_log_group(settings, pool) for pool in fleet.pools):
        lines += logs.last_lines(group, name, AGENT, AGENT_LINES)
        lines += [line for program in (BOOT, ENGINE) for line in logs.last_lines(group, name, program, OUTPUT_LINES)]
    moments = timeline(activities, lines)
    if not moments:
        raise NotFoundError(
            f"{name}: neither the groups of deployment {fleet.deployment!r} in {fleet.region} nor their logs know it; "
            "`fleet status` lists those that are there"
        )
    return moments


def _log_group(settings: Settings, pool: Pool) -> str:
    return log_group(settings, workers_stack(pool.name))


def paragraphs(fleet: FleetView, findings: list[Finding]) -> str:
    """Return the findings for people, below a sentence that says how the fleet is."""
    serving = sum(pool.in_service for pool in fleet.pools)
    wanted = sum(pool.desired for pool in fleet.pools)
    first = "Every worker serves" if fleet.complete else "Workers are missing"
    head = f"{first}: {serving} in service, {wanted} wanted." + (
        "" if findings else " Nothing failed in the last hour."
    )
    return "\n\n".join([head, *map(_paragraph, findings)])


def _paragraph(finding: Finding) -> str:
    since = f" since {finding.since.astimezone():%Y-%m-%d %H:%M:%S}" if finding.since else ""
    lines = [f"{finding.subject} (pool {finding.pool}): {finding.state}{since}"]
    lines += [f"  phase reached: {finding.phase}"] if finding.phase else []
    lines += [f"  reason: {finding.reason}"]
    lines += ["  last lines of its log:", *(f"    {line}" for line in finding.log)] if finding.log else []
    lines += [f"  remedy: {finding.remedy}"] if finding.remedy else []
    return "\n".join(lines)


def _moment(moment: Moment) -> str:
    return f"{moment.time.astimezone():%Y-%m-%d %H:%M:%S} {moment.source:<10} {moment.text}"
