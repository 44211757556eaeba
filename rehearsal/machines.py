"""The supervisor: for every running instance of the emulated EC2, a machine on this laptop.

It looks at EC2 several times a second, plans what differs from the machines it has, and applies the plan.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rehearsal.bake.content import ContentError
from rehearsal.bake.hosts import BuildHostError, BuildHosts, RunningHost
from rehearsal.bake.keeper import ImageKeeper
from rehearsal.cloud_config import BaseImageConfig, CloudConfig, EngineConfig, ImageConfig
from rehearsal.cloud_init import OUTPUT_LOG, CloudConfigError, first_boot
from rehearsal.emulated_aws.inventory import Instance
from rehearsal.http_server import serve
from rehearsal.images import BakedImage, ImageError, build_root
from rehearsal.log_shipper import LogShipper
from rehearsal.metadata import MetadataService, Outage
from rehearsal.places import API_URL, METADATA_PORT, metadata_url
from rehearsal.processes import end_marked
from rehearsal.service import HostFolder, host_environment
from rehearsal.systemd import ServiceManager
from rehearsal.unit_file import UnitFileError

POLL_SECONDS = 0.3
# A terminated instance shuts down like any other; EC2 itself waits a few minutes before it pulls the plug.
SHUTDOWN_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PowerOn:
    """An instance that runs in EC2 and has no running machine."""

    instance: Instance


@dataclass(frozen=True)
class PowerOff:
    """A running machine whose instance is stopped, terminated or gone."""

    instance_id: str


Action = PowerOn | PowerOff


class BootError(Exception):
    """A machine cannot be switched on."""


def plan(instances: tuple[Instance, ...], powered: frozenset[str]) -> list[Action]:
    """What has to be done so that exactly the running instances have a running machine."""
    running = {instance.id: instance for instance in instances if instance.running}
    offs: list[Action] = [PowerOff(name) for name in sorted(powered - running.keys())]
    return offs + [PowerOn(instance) for name, instance in sorted(running.items()) if name not in powered]


@dataclass
class Machine:
    """One machine that is powered on."""

    instance: Instance
    host: HostFolder
    manager: ServiceManager
    build_host: RunningHost | None = None
    metadata: asyncio.Server | None = None
    boot: asyncio.Task[None] | None = None
    failed_commands: int | None = None
    error: str | None = None
    started: float = field(default_factory=time.monotonic)

    def report(self) -> dict[str, object]:
        """What the control port tells about it."""
        services = self.manager.services.values()
        return {
            "id": self.instance.id,
            "private_ip": self.instance.private_ip,
            "zone": self.instance.zone,
            "tags": self.instance.tags,
            "root": str(self.host.root),
            "failed_commands": self.failed_commands,
            "error": self.error,
            "units": {service.unit.name: str(service.state) for service in services},
            "restarts": {service.unit.name: service.restarts for service in services},
            "logs": {service.unit.name: str(service.log_path) for service in services},
            "processes": {service.unit.name: service.pid for service in services if service.pid is not None},
        }


@dataclass(frozen=True)
class Incident:
    """A machine that powered itself off, and the log of its boot, which says why."""

    instance_id: str
    reason: str
    log: str


def _ignore(_instance_id: str) -> None:
    """Nobody wants to know."""


@dataclass
class Supervisor:
    """Holds the machines."""

    config: CloudConfig
    folder: Path
    socket_name: str
    images: Mapping[str, ImageConfig | BaseImageConfig]
    instances: Callable[[], tuple[Instance, ...]]
    power_off: Callable[[Instance], None]
    # Told when a machine is switched on and when it is off, so that EC2 can say `shutting-down` in between.
    machine_on: Callable[[str], None] = _ignore
    machine_off: Callable[[str], None] = _ignore
    machines: dict[str, Machine] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)
    # What a scenario changes: the engine of machines made from now on, and which metadata services are silent.
    next_engine: EngineConfig | None = None
    metadata_outage: Outage = field(default_factory=Outage)
    shipper: LogShipper = field(default_factory=LogShipper)
    # Only where bakes are played: hosts that images are made of, and the images' content.
    build_hosts: BuildHosts | None = None
    keeper: ImageKeeper | None = None
    _closing: dict[asyncio.Task[None], str] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow EC2 until told to stop, then switch every machine off."""
        shipping = asyncio.create_task(self.shipper.run(), name="logs")
        while not stop.is_set():
            self.step()
            try:
                await asyncio.wait_for(stop.wait(), POLL_SECONDS)
            except TimeoutError:
                continue
        shipping.cancel()
        await self.close()

    def step(self) -> None:
        """Look once at EC2 and do what is to do; boots and shutdowns go on in the background."""
        instances = self.instances()
        for action in plan(instances, frozenset(self.machines)):
            match action:
                case PowerOn(instance):
                    self._power_on(instance)
                case PowerOff(instance_id):
                    self._switch_off_later(self.machines.pop(instance_id))
        if self.keeper is not None:
            self.keeper.step()
        if self.build_hosts is not None:
            self.build_hosts.forget_but({instance.id for instance in instances})

    def _switch_off_later(self, machine: Machine) -> None:
        task = asyncio.create_task(self._switch_off(machine, SHUTDOWN_SECONDS), name=machine.instance.id)
        self._closing[task] = machine.instance.private_ip
        task.add_done_callback(self._closing.pop)

    async def close(self, limit_seconds: float = 5.0) -> None:
        """Switch everything off, at once and for good."""
        machines, self.machines = tuple(self.machines.values()), {}
        await asyncio.gather(*(self._switch_off(machine, limit_seconds) for machine in machines))
        if self._closing:
            await asyncio.wait(self._closing, timeout=limit_seconds)
        await asyncio.to_thread(end_marked, "SGLANG_FLEET_ROOT", str(self.folder))

    def switched_on(self) -> list[str]:
        """Instances whose machine runs or is shutting down."""
        return [*self.machines, *(task.get_name() for task in self._closing)]

    def by_root(self, root: str) -> Machine | None:
        """The running machine with this root folder."""
        return next((machine for machine in self.machines.values() if str(machine.host.root) == root), None)

    def _lookup(self, instance_id: str) -> Instance | None:
        return next((instance for instance in self.instances() if instance.id == instance_id), None)

    def _as_told(self, instance: Instance) -> Instance | None:
        """What the metadata service tells; a machine that shuts down keeps its role until it is off, as in EC2."""
        found = self._lookup(instance.id)
        if found is not None and not found.running and found.profile is None:
            return replace(found, profile=instance.profile)
        return found

    def _environment(self, host: HostFolder, instance: Instance) -> dict[str, str]:
        extra = {
            "AWS_ENDPOINT_URL": API_URL,
            "AWS_REGION": instance.region,
            "AWS_DEFAULT_REGION": instance.region,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata_url(instance.private_ip),
        }
        return host_environment(host, extra)

    def _power_on(self, instance: Instance) -> None:
        host = HostFolder(self.folder / instance.id)
        manager = ServiceManager(host, self._environment(host, instance), self._power_button(instance, host))
        machine = Machine(instance, host, manager)
        self.machines[instance.id] = machine
        self.machine_on(instance.id)
        self.shipper.follow(instance.id, host)
        log.info("%s: power on at %s (%s)", instance.id, instance.private_ip, instance.zone)
        machine.boot = asyncio.create_task(self._boot(machine), name=f"boot {instance.id}")

    def _power_button(self, instance: Instance, host: HostFolder) -> Callable[[str], None]:
        def press(reason: str) -> None:
            if any(incident.instance_id == instance.id for incident in self.incidents):
                return  # it is on its way down already
            log.warning("%s: powers itself off: %s", instance.id, reason)
            self.incidents.append(Incident(instance.id, reason, str(host.path(OUTPUT_LOG))))
            self.power_off(instance)

        return press

    async def _boot(self, machine: Machine) -> None:
        instance = machine.instance
        try:
            await self._connect(machine)
            await self._start_system(machine)
        except (BootError, BuildHostError, ContentError, ImageError, CloudConfigError, UnitFileError) as error:
            machine.error = str(error)
            log.error("%s: boot failed: %s", instance.id, error)  # noqa: TRY400 - the sentence says it all
            return
        log.info("%s: booted in %.1f s", instance.id, time.monotonic() - machine.started)

    async def _connect(self, machine: Machine) -> None:
        """Take the private address: the metadata service is the first to use it. Its last owner may still shut down."""
        instance = machine.instance
        predecessors = {task for task, address in self._closing.items() if address == instance.private_ip}
        if predecessors:
            await asyncio.wait(predecessors)
        metadata = MetadataService(lambda: self._as_told(instance))
        handler = self.metadata_outage.around(instance.id, metadata.handle)
        try:
            machine.metadata = await serve(instance.private_ip, METADATA_PORT, handler)
        except OSError as error:
            raise BootError(f"metadata service at {instance.private_ip}:{METADATA_PORT}: {error.strerror}") from error

    async def _start_system(self, machine: Machine) -> None:
        instance, host, manager = machine.instance, machine.host, machine.manager
        image = self._image(instance.image_id)
        # A key pair is what tells: hosts of a deployment have none, and a bake may start from an image that was baked.
        if isinstance(image, BaseImageConfig) or instance.authorized_key is not None:
            await self._start_build_host(machine, image)
            return
        config = self.config.model_copy(update={"engine": self.next_engine or self.config.engine})
        await asyncio.to_thread(build_root, host, config, image)
        host.path("/run/supervisor").write_text(self.socket_name)
        await manager.boot()
        machine.failed_commands = await first_boot(host, instance.user_data, manager.environment)
        if machine.failed_commands:
            manager.fail("cloud-final.service")

    def _image(self, image_id: str) -> ImageConfig | BaseImageConfig | BakedImage:
        content = self.keeper.content(image_id) if self.keeper is not None else None
        image = BakedImage(content) if content is not None else self.images.get(image_id)
        if image is None:
            raise BootError(f"image {image_id} is not one of the rehearsal's: nothing can boot from it")
        return image

    def set_small_folders(self, small: Mapping[str, str]) -> None:
        """Say which folders of build hosts hold only so much. Raises ValueError where no bake is played."""
        if self.build_hosts is None:
            raise ValueError("this rehearsal plays no bake")
        self.build_hosts.small = small

    async def _start_build_host(self, machine: Machine, image: ImageConfig | BaseImageConfig | BakedImage) -> None:
        if self.build_hosts is None:
            raise BootError("this rehearsal plays no bake: nothing is set up to boot a base image")
        content = image.content if isinstance(image, BakedImage) else None
        machine.build_host = await self.build_hosts.start(machine.instance, machine.host, content)

    async def _switch_off(self, machine: Machine, limit_seconds: float) -> None:
        log.info("%s: power off", machine.instance.id)
        await machine.manager.stop_all(limit_seconds)
        if machine.boot is not None and not machine.boot.done():
            machine.boot.cancel()
            await asyncio.wait({machine.boot})
        if machine.build_host is not None:
            await machine.build_host.stop()
        root = f"{machine.host.root}"
        await asyncio.to_thread(end_marked, "SGLANG_FLEET_ROOT", root, 0.5)
        if machine.metadata is not None:
            machine.metadata.close()
            await machine.metadata.wait_closed()
        self.machine_off(machine.instance.id)
        log.info("%s: off", machine.instance.id)
