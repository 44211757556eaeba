"""The scaling of a made-up fleet: it follows the load as a test wants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rehearsal.scenarios.timeline import IN_SERVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.rehearsal.scenarios.fakes import Fleet

FIDGET_SECONDS = 5.0


@dataclass
class Autopilot:
    """Target tracking out, one step at a time in; does nothing while it is held or has no target."""

    fleet: Fleet
    held: bool = False
    target: float | None = None
    minimum: int = 1
    high_since: float = 0.0
    low_since: float = 0.0
    steady_since: float = math.inf
    fell_at: float = math.inf
    busy: bool = False

    def follow(self, overrides: Mapping[str, object]) -> None:
        target = overrides.get("workers[0].scaling.target_load")
        self.target = None if target is None else float(str(target))
        self.minimum = int(str(overrides.get("workers[0].min_size", 1)))

    def released(self) -> None:
        self.held = False
        self.high_since = self.low_since = self.steady_since = self.fleet.now

    def tick(self) -> None:
        fleet, behaviour = self.fleet, self.fleet.behaviour
        if self.held or self.target is None:
            return
        self._fidget()
        load, ready = fleet.load_per_worker()
        if load <= self.target:
            self.high_since = fleet.now
        if load >= self.target / 2:
            self.low_since = fleet.now
        # What is on its way has been decided already.
        all_there = all(worker.state == IN_SERVICE for worker in fleet.workers.values())
        if all_there and fleet.now - self.high_since >= behaviour.decides_after:
            self.decide(math.ceil(round(ready * load / self.target, 6)))
        after = math.inf if behaviour.shrinks_after is None else behaviour.shrinks_after
        if fleet.now - self.low_since >= after and fleet.desired > self.minimum:
            self.low_since = fleet.now
            self.decide(fleet.desired - 1)

    def _fidget(self) -> None:
        """Grow once, some seconds after the moment that the behaviour names."""
        if self.busy and not self.fleet.added_slots:
            self.fell_at = self.fleet.now
        self.busy = self.fleet.added_slots > 0
        moments = {"on a steady load": self.steady_since, "after the load fell": self.fell_at}
        if self.fleet.now - moments.get(self.fleet.behaviour.fidgets, math.inf) >= FIDGET_SECONDS:
            self.steady_since = self.fell_at = math.inf
            self.decide(self.fleet.desired + 1)

    def decide(self, desired: int) -> None:
        if desired == self.fleet.desired:
            return
        now = datetime.fromtimestamp(self.fleet.now, UTC)
        cause = f"At {now:%Y-%m-%dT%H:%M:%SZ} a monitor alarm load in state ALARM triggered policy out changing the "
        cause += f"desired capacity from {self.fleet.desired} to {desired}."
        self.fleet.activities.insert(0, {"StatusCode": "InProgress", "Cause": cause, "StartTime": now})
        self.fleet.resize(desired)
