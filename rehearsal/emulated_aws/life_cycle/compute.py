"""What a group needs of EC2, and the configuration it is given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from rehearsal.emulated_aws.life_cycle.hooks import Hook
from rehearsal.emulated_aws.life_cycle.states import Subnet, Template

MIN_HEALTHY_DEFAULT = 90  # understand-instance-refresh-default-values.html, per cent


class Power(Enum):
    """State of an instance in EC2, as far as a group looks at it."""

    RUNNING = auto()
    STOPPING = auto()
    STOPPED = auto()
    SHUTTING_DOWN = auto()
    GONE = auto()


class NoCapacityError(Exception):
    """EC2 has no machine of this type in the zone (InsufficientInstanceCapacity)."""


class Compute(Protocol):
    """EC2, for one group."""

    def launch(self, subnet: Subnet) -> str:
        """Start an instance of the group's current template and return its id.

        Raises:
            NoCapacityError: the zone has none.
        """

    def start(self, instance_id: str) -> None:
        """Start a stopped instance.

        Raises:
            NoCapacityError: its zone has none.
        """

    def stop(self, instance_id: str) -> None:
        """Stop an instance."""

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance."""

    def power(self, instance_id: str) -> Power:
        """How an instance is now."""


@dataclass(frozen=True)
class WarmPool:
    """Configuration of a warm pool (API_PutWarmPool.html). `max_prepared` None: the group's maximum size."""

    min_size: int = 0
    max_prepared: int | None = None
    state: str = "Stopped"
    reuse: bool = False

    def size(self, desired: int, max_size: int) -> int:
        """How many instances it keeps: what is left up to the maximum, at least its minimum (create-warm-pool.html)."""
        most = max_size if self.max_prepared is None else self.max_prepared
        return max(self.min_size, most - desired, 0)


@dataclass(frozen=True)
class Spec:
    """A group's configuration, read afresh at each step."""

    min_size: int
    max_size: int
    subnets: tuple[Subnet, ...]
    template: Template
    instance_type: str = "g6e.xlarge"
    hooks: tuple[Hook, ...] = ()
    warm_pool: WarmPool | None = None
    policies: tuple[str, ...] = ("Default",)
    protect_new: bool = False
    grace_seconds: int = 0
    warmup_seconds: int = 0
    min_healthy: int | None = None
    max_healthy: int | None = None
    suspended: frozenset[str] = frozenset()
    rebalance: bool = False

    def hooks_of(self, transition: str) -> tuple[Hook, ...]:
        """Hooks of one transition."""
        return tuple(hook for hook in self.hooks if hook.transition == transition)
