"""The deployment that a scenario plays on: what it looks like, how it is moved, and how its programs' logs are read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from rehearsal import cloud_process, faults
from rehearsal.commands import StepFailedError
from rehearsal.deployment import models, router_url
from rehearsal.in_service import Router
from rehearsal.leftovers import client, clients, read_parameter
from rehearsal.places import WorkFolder
from rehearsal.scenarios.load import Load, Timed
from rehearsal.scenarios.pace import Pace
from rehearsal.scenarios.timeline import IN_SERVICE, Sample, Seen
from settings import naming
from settings.model import Settings
from user_data.node_config import AGENT_LOG, DISCOVERY_LOG

POLL_SECONDS = 0.25
RESTORE_SECONDS = 120.0
# as-suspend-resume-processes.html: what would change the number of workers while a scenario does so by hand.
SCALING_PROCESSES = ["AlarmNotification", "ScheduledActions"]


@dataclass(frozen=True)
class Event:
    """One line that an on-host program wrote; `at` is in seconds since 1970."""

    at: float
    name: str
    fields: dict[str, Any]


def _nobody_plays(_load: object) -> Load:
    raise RuntimeError("load can be added while a scenario is played only")


@dataclass
class Stage:
    """A deployment on the emulated AWS, with one pool that scenarios play with."""

    settings: Settings
    work: WorkFolder
    pace: Pace
    apply: Callable[[str, dict[str, object]], None]
    """Apply one stack with some settings changed, as `cdktf deploy` does."""
    why: Callable[[], str]
    """What `fleet why` prints."""
    say: Callable[[str], None]
    real_engine: bool = False
    more_load: Callable[[int], Load] = field(default=_nobody_plays)
    """Have so many more requests in flight until the load that is returned is told to stop; the runner counts them."""
    replay: Callable[[Sequence[Timed]], Load] = field(default=_nobody_plays)
    """Send these requests, each at its time from now on."""
    _workers_seen: dict[str, Seen] = field(default_factory=dict)

    @cached_property
    def router(self) -> Router:
        """The router under test."""
        name = self.settings.api_key_parameter
        key = read_parameter(self.settings.region, name) if name else None
        return Router(router_url(self.settings), key)

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Names that clients ask for."""
        return models(self.settings)

    @cached_property
    def group(self) -> str:
        """Name of the pool's Auto Scaling group."""
        return naming.worker_group(self.settings, self.settings.workers[0])

    @cached_property
    def scaling(self) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Auto Scaling, as an operator calls it; meets none of the faults ordered."""
        return client(clients(self.settings.region), "autoscaling")

    @cached_property
    def ec2(self) -> Any:  # noqa: ANN401 - as `scaling`
        """EC2, as an operator calls it."""
        return client(clients(self.settings.region), "ec2")

    def look(self) -> Sample:
        """What group and router say now."""
        (group,) = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])["AutoScalingGroups"]
        workers = {item["InstanceId"]: self._seen(item) for item in group["Instances"]}
        routed = self.router.routed_workers()
        return Sample(time.time(), workers, routed)

    def _seen(self, item: dict[str, Any]) -> Seen:
        name = item["InstanceId"]
        known = self._workers_seen.get(name)
        address = known.url if known else self._url(name)
        seen = Seen(name, address, item["LifecycleState"], item["AvailabilityZone"], item["HealthStatus"] == "Healthy")
        self._workers_seen[name] = seen
        return seen

    def _url(self, instance: str) -> str:
        (reservation,) = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
        return f"http://{reservation['Instances'][0]['PrivateIpAddress']}:{self.settings.workers[0].port}"

    @property
    def serving(self) -> tuple[Seen, ...]:
        """Workers in service that the router sends to, by id."""
        sample = self.look()
        routed = sample.routed or frozenset()
        return tuple(w for _, w in sorted(sample.workers.items()) if w.state == IN_SERVICE and w.url in routed)

    def url_of(self, instance: str) -> str:
        """Where the engine of a worker listens, or listened."""
        return self._workers_seen[instance].url

    def resize(self, desired: int) -> float:
        """Set the group's desired capacity; returns when."""
        self.scaling.set_desired_capacity(AutoScalingGroupName=self.group, DesiredCapacity=desired, HonorCooldown=False)
        return time.time()

    def hold_scaling(self) -> None:
        """Have the group ignore its alarms and schedules, as an operator does who sets its size by hand."""
        self.scaling.suspend_processes(AutoScalingGroupName=self.group, ScalingProcesses=SCALING_PROCESSES)

    def release_scaling(self) -> None:
        """Have it follow them again."""
        self.scaling.resume_processes(AutoScalingGroupName=self.group, ScalingProcesses=SCALING_PROCESSES)

    def dismiss(self, instance: str) -> None:
        """Have the group end one instance without a substitute."""
        self.scaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=True)

    def wait(self, what: str, condition: Callable[[], object], seconds: float) -> float:
        """Wait until a condition holds; returns when it did.

        Raises:
            StepFailedError: it did not in time.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise StepFailedError(f"after {seconds:.0f} s still not: {what}")
            time.sleep(POLL_SECONDS)
        return time.time()

    def seen(self, condition: Callable[[], object], seconds: float) -> float | None:
        """Wait until a condition holds; None when it did not in time."""
        try:
            return self.wait("", condition, seconds)
        except StepFailedError:
            return None

    def hold(self, seconds: float, what: str) -> None:
        """Let time pass under load."""
        self.say(f"{what} ({seconds:.0f} s)")
        time.sleep(seconds)

    def restore(self, workers: int) -> None:
        """Undo every fault and have exactly so many workers serving, whatever the load.

        Raises:
            StepFailedError: the fleet does not come back.
        """
        faults.aws_restored()
        faults.metadata_restored()
        faults.engines_restored()
        for zone in self.zones:
            faults.capacity(zone, available=True)
        self.hold_scaling()
        self.say(f"waiting for {workers} workers")
        self.resize(workers)
        self.wait(f"{workers} workers serve and none is on its way", lambda: self.settled(workers), RESTORE_SECONDS)

    def settled(self, workers: int) -> bool:
        """Whether exactly so many workers are there, and all of them serve."""
        sample = self.look()
        return len(sample.workers) == workers == len(sample.in_service) and len(sample.routed or ()) == workers

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """Availability Zones of the deployment."""
        return tuple(self.settings.availability_zones)

    def activities(self) -> list[dict[str, Any]]:
        """The group's scaling activities, the newest first."""
        found: list[dict[str, Any]] = self.scaling.describe_scaling_activities(AutoScalingGroupName=self.group)[
            "Activities"
        ]
        return found

    @property
    def router_host(self) -> str:
        """Instance id of the (first) router host."""
        for machine in cloud_process.machines():
            if machine["private_ip"] == str(self.settings.router.address):
                return str(machine["id"])
        raise StepFailedError(f"no machine runs at the router's address {self.settings.router.address}")

    def agent_events(self, instance: str) -> list[Event]:
        """What a worker's agent logged."""
        return list(_events(self.work.machines / instance / AGENT_LOG.lstrip("/")))

    @property
    def discovery_hosts(self) -> list[Path]:
        """Logs of discovery, one for each router host there has been."""
        return sorted(self.work.machines.glob(f"*/{DISCOVERY_LOG.lstrip('/')}"))

    def discovery_events(self) -> list[Event]:
        """What discovery logged, on all router hosts there have been."""
        return [event for log in self.discovery_hosts for event in _events(log)]


def _events(log: Path) -> Iterator[Event]:
    if not log.is_file():
        return
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            fields = json.loads(line)
            yield Event(datetime.fromisoformat(fields["time"]).timestamp(), str(fields["event"]), fields)
