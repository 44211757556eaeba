"""Keeps the router's worker list equal to what is in service: look at AWS, plan, apply, every two seconds.

Static stability: when AWS does not answer, the last known fleet stays as it is, on the disk too, so that neither a
restart of this program nor one of the router loses it.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from user_data.agent.aws import AwsError, FleetView, Worker
from user_data.agent.manifest import Entry, Manifest, ManifestError, read_manifest, write_manifest

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from user_data.agent.log import Log

REUSE_SECONDS = 6.0
"""How long the address of a worker that left stays unused.

smg 1.13.0 drains a dropped worker for 5 s and then deletes it by its URL, together with whatever has been registered at
that URL since: measured, a new id at an old URL is routable after 0.3 s, gone after 5 s and back at the next reread.
"""

BACKOFF_LIMIT_SECONDS = 4.0
"""Longest wait between two looks while AWS throttles: recovery is seen within 5 s."""


@dataclass(frozen=True)
class Add:
    """Send requests to a worker."""

    entry: Entry
    kind: Literal["add"] = "add"


@dataclass(frozen=True)
class Drain:
    """No new requests to a worker that is on its way out; those in flight go on."""

    entry: Entry
    state: str
    kind: Literal["drain"] = "drain"


@dataclass(frozen=True)
class Remove:
    """A worker that its group no longer lists."""

    entry: Entry
    kind: Literal["remove"] = "remove"


@dataclass(frozen=True)
class Defer:
    """A worker in service that has to wait `seconds`: another one used its address a moment ago."""

    entry: Entry
    seconds: float
    kind: Literal["defer"] = "defer"


Action = Add | Drain | Remove | Defer


class Seen(Protocol):
    """Where the fleet is asked for; `aws.Fleet` is it."""

    def view(self) -> FleetView:
        """Return the deployment's pools and every instance of their groups."""


def plan(known: Manifest, seen: Iterable[Worker], left: Mapping[str, float], now: float) -> list[Action]:
    """Return what turns `known` into the fleet `seen`, removals first.

    Args:
        known: what the router has now.
        seen: every instance of the deployment's groups, whatever its state.
        left: URLs that left the list, with the time at which they did.
        now: seconds, on the same clock as `left`.
    """
    by_id = {worker.instance_id: worker for worker in seen}
    wanted = {key: Entry(id=key, url=worker.url) for key, worker in by_id.items() if worker.in_service and worker.url}
    gone = [entry for entry in known.workers if wanted.get(entry.id) != entry]
    kept = {entry.id for entry in known.workers} - {entry.id for entry in gone}
    freed = {**left, **dict.fromkeys((entry.url for entry in gone), now)}
    new = [entry for key, entry in sorted(wanted.items()) if key not in kept]
    return [_leave(entry, by_id.get(entry.id)) for entry in gone] + [_join(entry, freed, now) for entry in new]


def _leave(entry: Entry, worker: Worker | None) -> Action:
    if worker is None:
        return Remove(entry)
    return Drain(entry, worker.lifecycle_state if worker.healthy else f"{worker.lifecycle_state}, unhealthy")


def _join(entry: Entry, freed: Mapping[str, float], now: float) -> Action:
    wait = freed.get(entry.url, now - REUSE_SECONDS) + REUSE_SECONDS - now
    return Defer(entry, round(wait, 3)) if wait > 0 else Add(entry)


def after(known: Manifest, actions: Iterable[Action]) -> Manifest:
    """Return the manifest that the actions lead to."""
    entries = {entry.id: entry for entry in known.workers}
    for action in actions:
        if isinstance(action, Drain | Remove):
            entries.pop(action.entry.id)
        elif isinstance(action, Add):
            entries[action.entry.id] = action.entry
    return Manifest(workers=tuple(entry for _, entry in sorted(entries.items())))


class Discovery:
    """The loop's memory: what the router has, which addresses rest, and what AWS said last."""

    def __init__(
        self, fleet: Seen, path: Path, interval: float, log: Log, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start from the manifest at `path`; `interval` is in seconds."""
        self._fleet = fleet
        self._path = path
        self._interval = interval
        self._log = log
        self._clock = clock
        self._known = self._read()
        self._view: FleetView | None = None
        self._left: dict[str, float] = {}
        self._deferred: frozenset[str] = frozenset()
        self._error: str | None = None
        self._throttled = 0

    def look(self) -> list[Action]:
        """Ask AWS and plan; the manifest stays as it is.

        Raises:
            AwsError: AWS refused or did not answer.
        """
        self._view = self._fleet.view()
        return plan(self._known, self._view.workers, self._left, self._clock())

    def step(self) -> float:
        """Do one cycle and return the seconds from its start to the next one's.

        Raises:
            OSError: the manifest cannot be written.
        """
        try:
            actions = self.look()
        except AwsError as error:
            return self._keep(error)
        self._answered()
        self._apply(actions)
        return self._interval

    @property
    def view(self) -> FleetView | None:
        """What AWS said last, None while it has said nothing; other threads may ask too."""
        return self._view

    @property
    def failing(self) -> bool:
        """AWS did not answer the last time."""
        return self._error is not None

    def _apply(self, actions: list[Action]) -> None:
        now = self._clock()
        manifest = after(self._known, actions)
        if manifest != self._known or not self._path.exists():
            write_manifest(self._path, manifest)
        self._known = manifest
        self._left = {url: at for url, at in self._left.items() if now - at < REUSE_SECONDS}
        self._left |= {action.entry.url: now for action in actions if isinstance(action, Drain | Remove)}
        self._tell(actions)

    def _tell(self, actions: list[Action]) -> None:
        deferred = frozenset(action.entry.id for action in actions if isinstance(action, Defer))
        for action in actions:
            if not isinstance(action, Defer) or action.entry.id not in self._deferred:
                self._log.info(action.kind, **_fields(action), workers=len(self._known.workers))
        self._deferred = deferred

    def _keep(self, error: AwsError) -> float:
        if error.code != self._error:  # once per change: an outage of an hour is not 1,800 lines
            self._log.warning(
                "aws_unavailable", code=error.code, message=str(error), keeping_workers=len(self._known.workers)
            )
        self._error = error.code
        self._throttled = self._throttled + 1 if error.throttled else 0
        return min(self._interval * 2.0**self._throttled, max(BACKOFF_LIMIT_SECONDS, self._interval))

    def _answered(self) -> None:
        if self._error is not None:
            self._log.info("aws_available", after=self._error)
        self._error, self._throttled = None, 0

    def _read(self) -> Manifest:
        try:
            found = read_manifest(self._path)
        except (ManifestError, OSError) as error:
            self._log.warning("manifest_unreadable", message=str(error))
            found = None
        if found is not None:
            self._log.info("manifest_found", workers=len(found.workers))
        return found or Manifest()


def run(discovery: Discovery, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
    """Look at the fleet every interval, counted from start to start, until `stop` is set."""
    while not stop.is_set():
        started = clock()
        next_in = discovery.step()
        stop.wait(max(0.0, started + next_in - clock()))


def print_plan(discovery: Discovery) -> None:
    """Print what one cycle would do, one JSON object a line.

    Raises:
        AwsError: AWS refused or did not answer.
    """
    for action in discovery.look():
        sys.stdout.write(json.dumps({"action": action.kind, **_fields(action)}) + "\n")


def _fields(action: Action) -> dict[str, str | float]:
    extra = {key: value for key, value in asdict(action).items() if key not in {"entry", "kind"}}
    return {"instance": action.entry.id, "url": action.entry.url, **extra}
