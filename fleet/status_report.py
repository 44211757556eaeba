"""`fleet status` as it is shown: plain text tables on any terminal, and the same facts as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleet.fleet_view import CANCELLED, FAILED, Activity, FleetView, Pool, Worker

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from fleet.router_view import RouterView

MOST_ACTIVITIES = 8
UNKNOWN = "?"


@dataclass(frozen=True)
class Trouble:
    """One kind of activity that failed or is not over, and how often it came."""

    activity: Activity
    count: int


def troubles(pool: Pool, since: datetime) -> tuple[Trouble, ...]:
    """Return activities that failed after `since` or are not over, newest first, each zone and reason once."""
    bad = [entry for entry in pool.activities if _troubles(entry, since)]
    counts = Counter(map(_kind, bad))
    newest = {_kind(entry): entry for entry in reversed(bad)}
    return tuple(Trouble(newest[kind], count) for kind, count in counts.items())


def _troubles(activity: Activity, since: datetime) -> bool:
    if activity.end is None:
        return True
    told = activity.status == FAILED or (activity.status == CANCELLED and activity.message is not None)
    return told and activity.end >= since


def _kind(activity: Activity) -> tuple[str | None, ...]:
    return (activity.instance_id, activity.zone, activity.status, activity.message, activity.description)


def clock(time: datetime, zone: tzinfo | None) -> str:
    """Return a time of day in `zone`, None for the local one."""
    return f"{time.astimezone(zone):%H:%M:%S}"


def age(seconds: float) -> str:
    """Return an age in its two largest units: 45s, 3m20s, 2h05m, 4d03h."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days}d{hours_left:02}h"
    if hours:
        return f"{hours}h{minutes_left:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def as_json(fleet: FleetView, router: RouterView, since: datetime) -> dict[str, object]:
    """Return the facts, for `json.dumps` with a default for times."""
    pools = [
        asdict(pool)
        | {
            "in_service": pool.in_service,
            "workers": [asdict(worker) | _routing(worker, router) for worker in pool.workers],
            "activities": [asdict(trouble.activity) | {"count": trouble.count} for trouble in troubles(pool, since)],
        }
        for pool in fleet.pools
    ]
    hosts = [asdict(host) for host in fleet.routers]
    told = {"url": router.url, "ready": router.ready, "readiness": router.readiness, "note": router.note}
    names = {"deployment": fleet.deployment, "region": fleet.region, "complete": fleet.complete}
    return {**names, "router": told | {"hosts": hosts}, "pools": pools}


def _routing(worker: Worker, router: RouterView) -> dict[str, object]:
    entry = router.routed(worker.url)
    return {
        "routed": None if router.workers is None else entry is not None,
        "router_status": entry.status if entry else None,
        "requests_in_flight": entry.load if entry else None,
    }


def render(fleet: FleetView, router: RouterView, since: datetime, now: datetime, zone: tzinfo | None) -> RenderableType:
    """Return the tables."""
    parts: list[RenderableType] = [_line(f"{fleet.deployment} in {fleet.region}"), *_router(fleet, router, now)]
    for pool in fleet.pools:
        parts += [_line(""), _line(_summary(pool)), _workers(pool, router, now), *_activities(pool, since, zone)]
    return Group(*parts)


def _line(text: str) -> Text:
    return Text(text, overflow="fold")


def _router(fleet: FleetView, router: RouterView, now: datetime) -> list[RenderableType]:
    hosts = [
        f"{host.instance_id} {host.state} {host.address or ''} {age((now - host.launched).total_seconds())}"
        for host in fleet.routers
    ]
    said = [f"router {router.url}: {router.readiness}", *(f"  host {host}" for host in hosts or ["none"])]
    return [_line(text) for text in (*said, *([f"  {router.note}"] if router.note else []))]


def _summary(pool: Pool) -> str:
    return (
        f"pool {pool.name}: {pool.in_service} of {pool.desired} wanted in service "
        f"(min {pool.min_size}, max {pool.max_size}), {pool.count('Pending')} pending, "
        f"{pool.count('Terminating')} terminating, {pool.count('Warmed')} warm"
    )


def _workers(pool: Pool, router: RouterView, now: datetime) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("  instance", "zone", "type", "address", "state", "health", "age", "routed"):
        table.add_column(heading, overflow="fold")
    table.add_column("in flight", justify="right")
    for worker in sorted(pool.workers, key=lambda worker: (worker.zone, worker.instance_id)):
        table.add_row(*_row(worker, router, now))
    return table


def _row(worker: Worker, router: RouterView, now: datetime) -> tuple[str, ...]:
    entry = router.routed(worker.url)
    routed = UNKNOWN if router.workers is None else (entry.status or "yes") if entry else "no"
    return (
        f"  {worker.instance_id}",
        worker.zone,
        worker.instance_type,
        worker.address or "",
        worker.state,
        "healthy" if worker.healthy else "unhealthy",
        age((now - worker.launched).total_seconds()) if worker.launched else "",
        routed,
        UNKNOWN if router.workers is None else str(entry.load) if entry and entry.load is not None else "",
    )


def _activities(pool: Pool, since: datetime, zone: tzinfo | None) -> list[RenderableType]:
    found = troubles(pool, since)
    lines = [_activity(trouble, zone) for trouble in found[:MOST_ACTIVITIES]]
    more = [f"  and {len(found) - MOST_ACTIVITIES} more"] if len(found) > MOST_ACTIVITIES else []
    return [_line(line) for line in (*lines, *more)]


def _activity(trouble: Trouble, zone: tzinfo | None) -> str:
    entry = trouble.activity
    times = f" ({trouble.count} times)" if trouble.count > 1 else ""
    where = f" in {entry.zone}" if entry.zone else ""
    what = entry.description.partition(".  ")[0]
    return f"  {clock(entry.start, zone)} {entry.status}{times}: {what}{where}: {entry.message or entry.cause}"
