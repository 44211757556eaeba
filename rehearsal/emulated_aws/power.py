"""Instances whose machine takes time to switch off: `shutting-down` and `stopping` until it is off.

What moto 5.2.5 does instead: an instance is terminated or stopped as soon as it is asked to be.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from moto.ec2.models.instances import Instance, InstanceState

from rehearsal.emulated_aws.extension import extend

# API_InstanceState.html: code and name of each state.
SHUTTING_DOWN, TERMINATED = (32, "shutting-down"), (48, "terminated")
STOPPING, STOPPED = (64, "stopping"), (80, "stopped")


@dataclass
class Machines:
    """Which instances have a machine that is switched on. The supervisor of the machines keeps it up to date."""

    on: set[str] = field(default_factory=set)
    ending: dict[str, Instance] = field(default_factory=dict)

    def switched_on(self, instance_id: str) -> None:
        """An instance has a machine from now on."""
        self.on.add(instance_id)

    def switched_off(self, instance_id: str) -> None:
        """Its machine is off: what began to end has ended."""
        self.on.discard(instance_id)
        instance = self.ending.pop(instance_id, None)
        if instance is not None and _state(instance) == SHUTTING_DOWN:
            _set(instance, TERMINATED)
        elif instance is not None and _state(instance) == STOPPING:
            _set(instance, STOPPED)

    def hold(self, instance: Instance, state: tuple[int, str]) -> None:
        """Put an instance that moto has ended into the state before, if it has a machine."""
        if instance.id in self.on:
            _set(instance, state)
            self.ending[instance.id] = instance


def _state(instance: Instance) -> tuple[int, str]:
    return instance._state.code, instance._state.name  # noqa: SLF001 - moto keeps it there


def _set(instance: Instance, state: tuple[int, str]) -> None:
    instance._state.code, instance._state.name = state  # noqa: SLF001 - moto keeps it there


MACHINES = Machines()


def install() -> None:
    """Put these states between moto's. What was installed before for `terminate` goes on being called."""
    terminate, stop = Instance.terminate, Instance.stop

    def _terminate(self: Instance) -> InstanceState:
        previous = terminate(self)
        MACHINES.hold(self, SHUTTING_DOWN)
        return previous

    def _stop(self: Instance) -> InstanceState:
        previous = stop(self)
        MACHINES.hold(self, STOPPING)
        return previous

    extend(Instance, "terminate", _terminate)
    extend(Instance, "stop", _stop)
