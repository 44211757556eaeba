"""What an instance of a group can be, and what a group knows about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from rehearsal.emulated_aws.life_cycle.activities import Activity
from rehearsal.emulated_aws.life_cycle.hooks import Wait


class State(StrEnum):
    """Lifecycle states (ec2-auto-scaling-lifecycle.html; those of a warm pool: warm-pool-instance-lifecycle.html)."""

    PENDING = "Pending"
    PENDING_WAIT = "Pending:Wait"
    PENDING_PROCEED = "Pending:Proceed"
    IN_SERVICE = "InService"
    STANDBY = "Standby"
    TERMINATING = "Terminating"
    TERMINATING_WAIT = "Terminating:Wait"
    TERMINATING_PROCEED = "Terminating:Proceed"
    WARMED_PENDING = "Warmed:Pending"
    WARMED_PENDING_WAIT = "Warmed:Pending:Wait"
    WARMED_PENDING_PROCEED = "Warmed:Pending:Proceed"
    WARMED_STOPPED = "Warmed:Stopped"
    WARMED_RUNNING = "Warmed:Running"
    WARMED_TERMINATING = "Warmed:Terminating"
    WARMED_TERMINATING_WAIT = "Warmed:Terminating:Wait"
    WARMED_TERMINATING_PROCEED = "Warmed:Terminating:Proceed"

    @property
    def leaving(self) -> bool:
        """On the way out of the group or of its pool."""
        return "Terminating" in self.value

    @property
    def warmed(self) -> bool:
        """In the warm pool."""
        return self.value.startswith("Warmed:")

    @property
    def counts(self) -> bool:
        """Counts towards the desired capacity."""
        return self in {State.PENDING, State.PENDING_WAIT, State.PENDING_PROCEED, State.IN_SERVICE}


@dataclass(frozen=True)
class Subnet:
    """Where an instance can be launched."""

    id: str
    zone: str


@dataclass(frozen=True, order=True)
class Template:
    """A version of a launch template."""

    id: str
    version: int


@dataclass
class Member:
    """An instance of a group or of its warm pool."""

    id: str
    subnet: Subnet
    template: Template
    launched: datetime
    state: State
    protected: bool = False
    healthy: bool = True
    in_service_since: datetime | None = None
    waits: list[Wait] = field(default_factory=list)
    activity: Activity | None = None
    held: bool = False  # a hook held it on the way that it is on
    at_risk: bool = False  # EC2 recommended to rebalance, and the group does
    returns: bool = False  # to the warm pool, when its termination hooks are done

    @property
    def shown(self) -> str:
        """State as the API gives it: `:Proceed` follows a wait only (ec2-auto-scaling-lifecycle.html)."""
        return str(self.state) if self.held else self.state.value.removesuffix(":Proceed")

    def ready(self, now: datetime, warmup_seconds: int) -> bool:
        """In service, healthy, and warmed up."""
        if self.state is not State.IN_SERVICE or not self.healthy or self.in_service_since is None:
            return False
        return now >= self.in_service_since + timedelta(seconds=warmup_seconds)

    def target(self, pool_state: str) -> str:
        """State it is on the way to, for the metadata service (retrieving-target-lifecycle-state-through-imds.html).

        `pool_state` is where instances of the warm pool rest: Stopped or Running.
        """
        if self.state.leaving and self.returns:
            return f"Warmed:{pool_state}"
        if self.state.leaving:
            return "Warmed:Terminated" if self.state.warmed else "Terminated"
        if self.state is State.STANDBY:
            return "Standby"
        return f"Warmed:{pool_state}" if self.state.warmed else "InService"
