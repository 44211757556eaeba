"""A fleet, its groups' activities and its hosts' log lines, made by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from fleet.fleet_view import Activity, FleetView, Pool, RouterHost, Worker
from fleet.host_log import LogLine, parse_line
from fleet.router_view import RoutedWorker, RouterView

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR_AGO = NOW - timedelta(hours=1)
SERVING, STARTING, LEFT = "i-0000000000000000a", "i-0000000000000000b", "i-0000000000000000c"
NO_ROOM = "We currently do not have sufficient g6e.xlarge capacity in the Availability Zone you requested (us-east-1a)."


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def worker(name: str = SERVING, state: str = "InService", *, healthy: bool = True) -> Worker:
    address = f"10.0.1.{ord(name[-1]) - 87}"
    return Worker(
        name, "us-east-1a", "g6e.xlarge", state, healthy, address, f"http://{address}:30000", ago(3 + 20 / 60)
    )


def activity(
    description: str, status: str = "Successful", message: str | None = None, *, cause: str = "wanted", at: float = 10
) -> Activity:
    named = next((name for name in (SERVING, STARTING, LEFT) if name in description), None)
    ended = None if status in {"InProgress", "MidLifecycleAction"} else ago(at - 1)
    return Activity(description, cause, status, message, "us-east-1a", ago(at), ended, named)


def pool(*workers: Worker, desired: int = 1, activities: tuple[Activity, ...] = ()) -> Pool:
    return Pool("default", "sglang-workers-default", 1, desired, 4, workers, activities)


def fleet(*pools: Pool) -> FleetView:
    return FleetView(
        "sglang", "us-east-1", (RouterHost("i-0000000000000000f", "10.0.0.100", "running", ago(90)),), pools
    )


def router(*entries: RoutedWorker) -> RouterView:
    return RouterView("http://10.0.0.100:8000", ready=True, readiness="ready", workers=entries)


def agent_line(name: str, event: str, *, at: float = 5, level: str = "info", **fields: object) -> LogLine:
    text = json.dumps({"time": ago(at).isoformat(), "level": level, "program": "worker", "event": event, **fields})
    return parse_line(f"{name}/agent", int(ago(at).timestamp() * 1000), text)
