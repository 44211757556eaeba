"""Ends a worker's service without losing a request: wait until nothing is in flight, then answer the hook.

The order matters. SGLang goes on accepting requests after SIGTERM, and the router's own drain is a fixed few seconds
(measured: 5 s), so neither of them waits for the last request. The worker leaves routing because discovery drops what
is not InService; the worker's own part is to distrust an early zero, and to keep the engine until there is nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from user_data.agent.occupancy import Occupancy

IDLE_LOOKS = 2
"""Requests move between the queues of an engine's processes; one look can fall between two of them."""

CUT_SECONDS = 3.0
"""Kept of a deadline for ending the engine and completing the hook."""

MAX_HOOK_SECONDS = 48 * 3600
MAX_HEARTBEATS = 100
"""Auto Scaling user guide, "lifecycle hooks": an instance waits 48 hours or 100 heartbeat timeouts, what is less."""

Step = Literal["wait", "finish", "cut"]


@dataclass(frozen=True)
class Drain:
    """One drain. Times are seconds on one clock."""

    deadline: float
    unrouted_since: float | None = None
    """When the group began to take the instance out; None while it has not been seen to (discovery needs it)."""
    idle_looks: int = 0


def hook_deadline(now: float, heartbeat_seconds: float) -> float:
    """Return when the group goes on, however many heartbeats it gets, if its hook began at `now`."""
    return now + min(MAX_HOOK_SECONDS, MAX_HEARTBEATS * heartbeat_seconds)


def looked(drain: Drain, occupancy: Occupancy | None, now: float, settle: float) -> Drain:
    """Return the drain after a look at the engine (None: it did not say).

    A zero counts only when the router surely had stopped sending `settle` seconds before.
    """
    settled = drain.unrouted_since is not None and now - drain.unrouted_since >= settle
    counts = settled and occupancy is not None and occupancy.idle
    return Drain(drain.deadline, drain.unrouted_since, drain.idle_looks + 1 if counts else 0)


def plan(drain: Drain, now: float, *, engine_runs: bool) -> Step:
    """Return what to do: go on waiting, finish because nothing is in flight, or cut what is because time is up."""
    if not engine_runs or drain.idle_looks >= IDLE_LOOKS:
        return "finish"
    return "cut" if now >= drain.deadline - CUT_SECONDS else "wait"
