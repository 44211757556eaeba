"""Why a worker does not serve: decided from what its group did and what it wrote. Pure functions."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.fleet_view import CANCELLED, FAILED
from fleet.host_log import AGENT, NOT_READY, UNHEALTHY
from fleet.remedies import remedy_for

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from fleet.fleet_view import Activity, Pool, Worker
    from fleet.host_log import AgentEvent, LogLine

LOG_LINES = 8
"""Of the engine's log in one finding: a Python traceback's end and its error."""
LINE_LENGTH = 300
"""SGLang logs all of its arguments in one line of 17,000 characters."""

# Causes of Auto Scaling for what left as unhealthy ("… in response to a user health-check", "… an EC2 health check …").
LEFT_BADLY = re.compile(r"health|abandoned", re.IGNORECASE)
GONE = "gone"
SILENT = "its agent has not written a line yet"


@dataclass(frozen=True)
class Finding:
    """Why one worker, or one kind of launch, does not serve. `phase` is the last one that its agent reached."""

    subject: str
    pool: str
    state: str
    since: datetime | None
    reason: str
    phase: str | None = None
    log: tuple[str, ...] = ()
    remedy: str | None = None


@dataclass(frozen=True)
class Evidence:
    """What is known of one instance: `activities` newest first, lines oldest first; `worker` None when it is gone."""

    instance_id: str
    pool: str
    worker: Worker | None
    activities: tuple[Activity, ...]
    agent: tuple[LogLine, ...] = ()
    output: tuple[LogLine, ...] = ()


@dataclass(frozen=True)
class Moment:
    """One entry of an instance's timeline."""

    time: datetime
    source: str
    text: str


def suspects(pool: Pool, given_up: Iterable[LogLine], since: datetime) -> tuple[str, ...]:
    """Return the instances that do not serve and should, then those that left badly after `since`."""
    present = {worker.instance_id for worker in pool.workers}
    idle = [worker.instance_id for worker in pool.workers if not worker.serves and not worker.rests]
    recent = (entry for entry in pool.activities if (entry.end or entry.start) >= since)
    left = [entry.instance_id for entry in recent if entry.instance_id and _left_badly(entry)]
    told = [line.instance_id for line in given_up]
    gone = [name for name in (*left, *told) if name not in present]
    return tuple(dict.fromkeys([*idle, *gone]))


def _left_badly(activity: Activity) -> bool:
    if activity.launches:
        return activity.status in {FAILED, CANCELLED} and activity.message is not None
    return LEFT_BADLY.search(activity.cause) is not None


def failed_launches(pool: Pool, since: datetime) -> tuple[Finding, ...]:
    """Return what kept the group from getting an instance at all, each zone and reason once."""
    failed = [entry for entry in pool.activities if entry.status == FAILED and not entry.instance_id]
    recent = [entry for entry in failed if entry.start >= since]
    counts = Counter((entry.zone, entry.message) for entry in recent)
    newest = {(entry.zone, entry.message): entry for entry in reversed(recent)}
    return tuple(_failed_launch(pool, newest[key], count) for key, count in counts.items())


def _failed_launch(pool: Pool, activity: Activity, count: int) -> Finding:
    where = f" in {activity.zone}" if activity.zone else ""
    message = activity.message or activity.description
    state = f"launch failed{where}" + (f", {count} times" if count > 1 else "")
    return Finding(pool.group, pool.name, state, activity.start, message, remedy=remedy_for([message]))


def explain(evidence: Evidence) -> Finding:
    """Return why this instance does not serve."""
    events = [line.event for line in evidence.agent if line.event]
    verdict = _last(events, {NOT_READY, UNHEALTHY})
    log = (verdict.log_tail if verdict else ()) or tuple(line.text for line in evidence.output)
    reason = _reason(evidence, events, verdict)
    known = [entry.message or "" for entry in evidence.activities]
    return Finding(
        subject=evidence.instance_id,
        pool=evidence.pool,
        state=_state(evidence.worker),
        since=_since(evidence, verdict),
        reason=shortened(reason),
        phase=next((event.phase for event in reversed(events) if event.phase), None),
        log=tuple(shortened(line) for line in log if line.strip())[-LOG_LINES:],
        # The engine's log says more than what follows from its end.
        remedy=remedy_for(log) or remedy_for([reason, *known]),
    )


def _last(events: list[AgentEvent], names: set[str]) -> AgentEvent | None:
    return next((event for event in reversed(events) if event.event in names), None)


def _state(worker: Worker | None) -> str:
    if worker is None:
        return GONE
    return worker.state if worker.healthy else f"{worker.state}, unhealthy"


def _since(evidence: Evidence, verdict: AgentEvent | None) -> datetime | None:
    if evidence.activities:
        newest = evidence.activities[0]
        return newest.end or newest.start if evidence.worker is None else newest.start
    if verdict:
        return verdict.time
    return evidence.worker.launched if evidence.worker else None


def _reason(evidence: Evidence, events: list[AgentEvent], verdict: AgentEvent | None) -> str:
    if verdict:
        return "; ".join(part for part in (verdict.reason, verdict.last_failure) if part)
    worker, newest = evidence.worker, next(iter(evidence.activities), None)
    if worker and worker.state.startswith("Terminating"):
        return f"on its way out: {newest.cause if newest else 'no activity of the last hour says why'}"
    failure = next((event for event in reversed(events) if event.level == "error"), None)
    if failure:
        return failure.message or failure.words
    if worker:
        return "starting: no failure so far" if events else f"starting: {SILENT}"
    told = next((entry.message for entry in evidence.activities if entry.message), None)
    return told or (newest.cause if newest else "nothing says why")


def shortened(text: str) -> str:
    """Return the first line of a text, cut to what can be read."""
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]}…"


def timeline(activities: Iterable[Activity], lines: Iterable[LogLine]) -> tuple[Moment, ...]:
    """Return what happened to an instance, oldest first; heartbeats are left out."""
    moments = [moment for activity in activities for moment in _of_activity(activity)]
    told = (line for line in lines if line.event is None or line.event.event != "heartbeat")
    moments += [Moment(line.time, line.program, _told(line)) for line in told if line.text.strip()]
    return tuple(sorted(moments, key=lambda moment: moment.time))


def _of_activity(activity: Activity) -> list[Moment]:
    begun = [Moment(activity.start, "group", f"{activity.description.partition('.  ')[0]}. {activity.cause}")]
    if activity.end is None:
        return begun
    said = f": {activity.message}" if activity.message else ""
    kind = "launch" if activity.launches else "exit"
    return [*begun, Moment(activity.end, "group", f"{kind} {activity.status.lower()}{said}")]


def _told(line: LogLine) -> str:
    return shortened(line.event.words if line.event and line.program == AGENT else line.text)
