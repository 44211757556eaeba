"""The phases of a boot, in order. Those of the agent carry the names that it logs (`user_data.agent.readiness`).

Each ends where the agent logs `boot_phase` with that name; its field `host_uptime_seconds` counts from the kernel's
start. EC2's part before that and the router's after it are told by others: the group's activities, discovery's log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HOST_STARTED: Final = "host_started"
KEY_FETCHED: Final = "key_fetched"
ENGINE_SPAWNED: Final = "engine_spawned"
ENGINE_LISTENING: Final = "engine_listening"
FIRST_GENERATION: Final = "first_generation"
ROUTABLE: Final = "routable"

LOGGED: Final = (KEY_FETCHED, ENGINE_SPAWNED, ENGINE_LISTENING, FIRST_GENERATION)
PHASES: Final = (HOST_STARTED, *LOGGED, ROUTABLE)


@dataclass(frozen=True)
class Step:
    """One part of a phase: what happens, seconds, and where the number comes from."""

    what: str
    seconds: float
    source: str


@dataclass(frozen=True)
class Phase:
    """A phase with what it is made of."""

    name: str
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """Seconds from the end of the phase before."""
        return sum(step.seconds for step in self.steps)


@dataclass(frozen=True)
class Boot:
    """A predicted boot on one load path."""

    path: str
    phases: tuple[Phase, ...]
    notes: tuple[str, ...] = ()

    def seconds(self, name: str) -> float:
        """Seconds of one phase."""
        return next(phase.seconds for phase in self.phases if phase.name == name)

    @property
    def to_first_token(self) -> float:
        """Seconds from the launch to the first generated token."""
        return self.to_routable - self.seconds(ROUTABLE)

    @property
    def to_routable(self) -> float:
        """Seconds from the launch until the router sends requests."""
        return sum(phase.seconds for phase in self.phases)

    def host_uptime(self, name: str) -> float:
        """Seconds from the kernel's start to the end of a phase: what the agent logs as `host_uptime_seconds`."""
        upto = self.phases[1 : PHASES.index(name) + 1]
        return sum(phase.seconds for phase in upto)
