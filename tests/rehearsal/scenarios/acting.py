"""Plays a scenario through the runner, on the real stage, with everything behind it made up."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal import cloud_process, faults
from rehearsal.deployment import scenario_overrides
from rehearsal.in_service import Router
from rehearsal.options import ENVIRONMENT
from rehearsal.places import WorkFolder
from rehearsal.scenarios import runner
from rehearsal.scenarios.pace import PACES, Pace, PaceName
from rehearsal.scenarios.plays import soak
from rehearsal.scenarios.stage import Stage
from settings import naming
from settings.load import load_settings
from tests.rehearsal.scenarios.behaviour import Behaviour
from tests.rehearsal.scenarios.fakes import Fleet
from user_data.node_config import UNIT_ROUTER, UNIT_WORKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rehearsal.scenarios.play import Scenario
    from rehearsal.scenarios.prompts import LoadPlan
    from rehearsal.scenarios.record import Record
    from rehearsal.scenarios.timeline import Sample
    from settings.model import Settings

GOOD = Behaviour()


def pace(name: PaceName = "short") -> Pace:
    """The short times and limits for every pace, and few requests: nothing else that a check wants depends on them."""
    return replace(PACES["short"], name=name, concurrency=12)


@cache
def settings() -> Settings:
    return load_settings(ENVIRONMENT, scenario_overrides(pace()))


@dataclass(frozen=True)
class FakeRouter(Router):
    fleet: Fleet

    def ready(self) -> bool:
        return self.fleet.router_up

    def routed_workers(self) -> frozenset[str] | None:
        return self.fleet.routed()


@dataclass
class FakeAws:
    """boto3's Auto Scaling and EC2, as far as a stage asks them."""

    fleet: Fleet

    def describe_auto_scaling_groups(self, **_asked: object) -> dict[str, Any]:
        workers = [
            {"InstanceId": w.id, "LifecycleState": w.state, "AvailabilityZone": w.zone, "HealthStatus": "Healthy"}
            for w in self.fleet.workers.values()
        ]
        return {"AutoScalingGroups": [{"Instances": workers, "DesiredCapacity": self.fleet.desired}]}

    def set_desired_capacity(self, DesiredCapacity: int, **_asked: object) -> None:  # noqa: N803 - AWS's own word
        self.fleet.resize(DesiredCapacity)

    def terminate_instance_in_auto_scaling_group(self, InstanceId: str, **_asked: object) -> None:  # noqa: N803 - as above
        self.fleet.dismiss(InstanceId)

    def describe_scaling_activities(self, **_asked: object) -> dict[str, Any]:
        return {"Activities": self.fleet.activities}

    def suspend_processes(self, **_asked: object) -> None:
        self.fleet.autopilot.held = True

    def resume_processes(self, **_asked: object) -> None:
        self.fleet.autopilot.released()

    def describe_instance_refreshes(self, **_asked: object) -> dict[str, Any]:
        return {"InstanceRefreshes": [{"Status": "Successful" if self.fleet.refreshed else "InProgress"}]}

    def describe_instances(self, InstanceIds: list[str]) -> dict[str, Any]:  # noqa: N803 - AWS's own word
        address = self.fleet.workers[InstanceIds[0]].url.removeprefix("http://").partition(":")[0]
        return {"Reservations": [{"Instances": [{"PrivateIpAddress": address}]}]}


@dataclass
class FakeLoad:
    fleet: Fleet
    plan: LoadPlan

    added: bool = False

    def start(self) -> None:
        self.added = self.fleet.plan is not None
        if self.added:
            self.fleet.added_slots += self.plan.concurrency
        else:
            self.fleet.plan = self.plan

    def stop_sending(self) -> None:
        if self.added:
            self.fleet.added_slots = 0
        else:
            self.fleet.plan = None

    def finish(self, _limit: float) -> tuple[Record, ...]:
        self.stop_sending()
        return () if self.added else self.fleet.finish()


@dataclass
class FakeTimeline:
    """Looks whenever the fleet's clock has moved."""

    fleet: Fleet
    look: Callable[[], Sample]

    def start(self) -> None:
        self.fleet.look = self.look

    def stop(self) -> None:
        self.fleet.look = None

    @property
    def samples(self) -> list[Sample]:
        return self.fleet.samples


def stage_of(fleet: Fleet, pace_name: PaceName) -> Stage:
    def apply(stack: str, overrides: dict[str, object]) -> None:
        if stack == naming.STACK_ROUTER:
            fleet.replace_router_host()
        elif any("volume" in key for key in overrides):
            fleet.refresh()
        else:
            fleet.autopilot.follow(overrides)

    work = WorkFolder(fleet.machines.parent)
    stage = Stage(settings(), work, pace(pace_name), apply, why=fleet.why, say=lambda _text: None)
    stage.router = FakeRouter("http://127.64.0.100:8000", None, fleet)
    stage.scaling = stage.ec2 = FakeAws(fleet)
    return stage


def _patch(patch: pytest.MonkeyPatch, fleet: Fleet) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("rehearsal.scenarios.") and getattr(module, "time", None) is time:
            patch.setattr(module, "time", fleet)
    patch.setattr(faults, "_give", fleet.obey)
    patch.setattr(runner, "engine_ledgers", lambda _work: ())
    patch.setattr(runner, "Load", lambda plan, _url, _key: FakeLoad(fleet, plan))
    patch.setattr(runner, "Timeline", lambda look: FakeTimeline(fleet, look))
    address = str(settings().router.address)
    units = (UNIT_ROUTER, UNIT_WORKER) if fleet.behaviour.router_is_seen else (UNIT_WORKER,)
    host = {"private_ip": address, "processes": dict.fromkeys(units, 7)}
    patch.setattr(cloud_process, "machines", lambda: [{**host, "id": fleet.router_host}])
    begun = fleet.now

    def memory_kib(processes: Mapping[str, int]) -> dict[str, int]:
        grown = round(10 * (fleet.now - begun))
        return {name: 1000 + grown * name.startswith(f"{fleet.behaviour.grows} ") for name in processes}

    patch.setattr(soak, "memory_kib", memory_kib)


@contextmanager
def acting(behaviour: Behaviour = GOOD, pace_name: PaceName = "short") -> Iterator[tuple[Stage, Fleet]]:
    """A stage before a fleet that behaves so, and the runner's world with it."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        fleet = Fleet(behaviour, tuple(settings().availability_zones), Path(folder) / "machines")
        _patch(patch, fleet)
        yield stage_of(fleet, pace_name), fleet


def played(scenario: Scenario, behaviour: Behaviour = GOOD, pace_name: PaceName = "short") -> runner.Result:
    """What the runner says of a scenario on a fleet that behaves so."""
    with acting(behaviour, pace_name) as (stage, _fleet):
        return runner.play(scenario, stage)
