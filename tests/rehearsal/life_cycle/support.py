"""A group on a fake EC2, with a clock that a test moves."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rehearsal.emulated_aws.life_cycle.compute import NoCapacityError, Power, Spec, WarmPool
from rehearsal.emulated_aws.life_cycle.group import Group
from rehearsal.emulated_aws.life_cycle.hooks import LAUNCHING, TERMINATING, Hook
from rehearsal.emulated_aws.life_cycle.states import State, Subnet, Template

A, B = Subnet("subnet-a", "us-east-1a"), Subnet("subnet-b", "us-east-1b")
V1, V2 = Template("lt-1", 1), Template("lt-1", 2)
SPEC = Spec(min_size=0, max_size=10, subnets=(A, B), template=V1)
LAUNCH = Hook("launch", LAUNCHING, 60)
DRAIN = Hook("drain", TERMINATING, 60)
POOL = WarmPool(min_size=1, max_prepared=0)


@dataclass
class FakeEc2:
    """Machines that change state at once, unless a test holds them."""

    machines: dict[str, Power] = field(default_factory=dict)
    full: set[str] = field(default_factory=set)
    slow: bool = False
    zones: dict[str, str] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def launch(self, subnet: Subnet) -> str:
        if subnet.zone in self.full:
            raise NoCapacityError
        name = f"i-{next(self.numbers)}"
        self.machines[name], self.zones[name] = Power.RUNNING, subnet.zone
        return name

    def start(self, instance_id: str) -> None:
        if self.zones[instance_id] in self.full:
            raise NoCapacityError
        self.machines[instance_id] = Power.RUNNING

    def stop(self, instance_id: str) -> None:
        self.machines[instance_id] = Power.STOPPING if self.slow else Power.STOPPED

    def terminate(self, instance_id: str) -> None:
        self.machines[instance_id] = Power.SHUTTING_DOWN if self.slow else Power.GONE

    def power(self, instance_id: str) -> Power:
        return self.machines[instance_id]


@dataclass
class World:
    """A group, its EC2, and the time."""

    group: Group
    ec2: FakeEc2
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def tick(self, seconds: float = 0) -> None:
        self.now += timedelta(seconds=seconds)
        self.group.tick(self.now)

    def want(self, desired: int) -> None:
        self.group.set_desired(desired, self.now)
        self.tick()

    def configure(self, **changes: Any) -> None:
        self.group.spec = replace(self.group.spec, **changes)

    def states(self) -> dict[str, str]:
        return {name: member.shown for name, member in self.group.members.items()}

    def ids(self, state: State = State.IN_SERVICE) -> list[str]:
        return [name for name, member in self.group.members.items() if member.state is state]

    def zones(self) -> list[str]:
        return sorted(member.subnet.zone[-1] for member in self.group.members.values())

    def finish(self, hook: str, instance_id: str, result: str = "CONTINUE") -> None:
        self.group.complete(hook, result, self.now, instance_id=instance_id, token=None)
        self.tick()


def world(desired: int = 0, **changes: Any) -> World:
    ec2 = FakeEc2()
    numbers = itertools.count(1)
    made = World(Group("g", replace(SPEC, **changes), ec2, lambda: f"id-{next(numbers)}"), ec2)
    made.want(desired)
    return made
