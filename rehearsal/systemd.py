"""The service manager of one machine: units from its own folder, `systemctl` as its programs call it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from rehearsal.service import HostFolder, Service, State
from rehearsal.unit_file import Unit, UnitFileError, load_unit, parse_sections

UNIT_FOLDER = "/etc/systemd/system"
WANTS_FOLDER = f"{UNIT_FOLDER}/multi-user.target.wants"
POWER_TARGETS = frozenset({"poweroff.target", "reboot.target", "halt.target"})
IGNORED_FLAGS = frozenset({"--now", "--quiet", "-q", "--no-pager", "--no-block", "--system", "--full", "-l"})

NOT_ACTIVE = 3  # systemctl(1): exit status of is-active for a unit that is not active
NOT_FOUND = 5


@dataclass(frozen=True)
class Reply:
    """What a `systemctl` call prints and returns."""

    status: int
    output: str = ""


@dataclass
class ServiceManager:
    """Starts and stops a machine's units."""

    host: HostFolder
    environment: dict[str, str]
    power_off: Callable[[str], None] = field(repr=False)
    services: dict[str, Service] = field(default_factory=dict)
    _background: set[asyncio.Task[bool]] = field(default_factory=set)

    def _service(self, name: str) -> Service:
        """The unit as its file says now; a running one keeps what it was started with."""
        known = self.services.get(name)
        if known is not None and known.state not in {State.INACTIVE, State.FAILED}:
            return known
        unit = load_unit(self.host.path(UNIT_FOLDER), name)
        self.services[name] = Service(unit, self.host, self.environment, self._failed)
        return self.services[name]

    def _failed(self, unit: Unit) -> None:
        self._on_failure(unit.name, unit.on_failure)

    def fail(self, name: str) -> None:
        """A unit of the system itself (cloud-init's) failed: do what the image's drop-ins for it say."""
        folder = self.host.path(f"{UNIT_FOLDER}/{name}.d")
        texts = [file.read_text() for file in sorted(folder.glob("*.conf"))] if folder.is_dir() else []
        values = [value for text in texts for value in parse_sections(text).get("Unit", {}).get("OnFailure", ())]
        self._on_failure(name, tuple(word for value in values for word in value.split()))

    def _on_failure(self, failed: str, names: tuple[str, ...]) -> None:
        for name in names:
            if name in POWER_TARGETS:
                self.power_off(f"{failed} failed and names {name}")
            else:
                task = asyncio.get_running_loop().create_task(self.start(name))
                self._background.add(task)
                task.add_done_callback(self._background.discard)

    async def start(self, name: str) -> bool:
        """Start a unit, and before it the units it requires.

        Raises:
            UnitFileError: there is no such unit, or it is wrong.
        """
        service = self._service(name)
        for required in service.unit.requires:
            if required.endswith(".service") and not await self.start(required):
                return False
        return await service.start()

    async def stop(self, name: str, limit_seconds: float = float("inf")) -> None:
        """Stop a unit; one that does not run stays as it is."""
        if name in self.services:
            await self.services[name].stop(limit_seconds)

    async def stop_all(self, limit_seconds: float) -> None:
        """Stop every unit at once, as a shutdown does, none longer than the limit."""
        await asyncio.gather(*(service.stop(limit_seconds) for service in self.services.values()))

    def enable(self, name: str) -> None:
        """Have a unit started at every boot.

        Raises:
            UnitFileError: there is no such unit.
        """
        load_unit(self.host.path(UNIT_FOLDER), name)
        link = self.host.path(f"{WANTS_FOLDER}/{name}")
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"../{name}")

    def disable(self, name: str) -> None:
        """Undo `enable`."""
        self.host.path(f"{WANTS_FOLDER}/{name}").unlink(missing_ok=True)

    def enabled(self) -> tuple[str, ...]:
        """Units started at every boot."""
        folder = self.host.path(WANTS_FOLDER)
        return tuple(sorted(link.name for link in folder.iterdir())) if folder.is_dir() else ()

    async def boot(self) -> None:
        """Start what is enabled."""
        await asyncio.gather(*(self.start(name) for name in self.enabled()))

    async def systemctl(self, arguments: tuple[str, ...]) -> Reply:
        """Execute one `systemctl` command line."""
        words = tuple(word for word in arguments if word not in IGNORED_FLAGS)
        if any(word.startswith("-") for word in words) or not words:
            return Reply(1, f"systemctl of a rehearsal does not know: {' '.join(arguments)}\n")
        verb, *names = words
        try:
            return await self._verb(verb, tuple(_unit_name(name) for name in names), frozenset(arguments))
        except UnitFileError as error:
            return Reply(NOT_FOUND, f"{error}\n")

    async def _verb(self, verb: str, names: tuple[str, ...], flags: frozenset[str]) -> Reply:
        match verb:
            case "start" | "restart" | "enable" | "reenable":
                return await self._start_verb(verb, names, flags)
            case "stop" | "disable":
                return await self._stop_verb(verb, names, flags)
            case "is-active" | "status" | "is-enabled":
                return self._enabled(names) if verb == "is-enabled" else self._active(names)
            case "daemon-reload" | "reset-failed":
                return Reply(0)
            case "poweroff" | "reboot" | "halt":
                self.power_off(f"systemctl {verb}")
                return Reply(0)
            case _:
                return Reply(1, f"systemctl of a rehearsal does not know the verb {verb}\n")

    async def _start_verb(self, verb: str, names: tuple[str, ...], flags: frozenset[str]) -> Reply:
        if verb in {"enable", "reenable"}:
            for name in names:
                self.enable(name)
            if "--now" not in flags:
                return Reply(0)
        if verb == "restart":
            await asyncio.gather(*(self.stop(name) for name in names))
        starts = asyncio.gather(*(self.start(name) for name in names))
        if "--no-block" in flags:
            return Reply(0)
        failed = [name for name, started in zip(names, await starts, strict=True) if not started]
        return Reply(1, "".join(f"Job for {name} failed.\n" for name in failed)) if failed else Reply(0)

    async def _stop_verb(self, verb: str, names: tuple[str, ...], flags: frozenset[str]) -> Reply:
        if verb == "disable":
            for name in names:
                self.disable(name)
            if "--now" not in flags:
                return Reply(0)
        await asyncio.gather(*(self.stop(name) for name in names))
        return Reply(0)

    def _enabled(self, names: tuple[str, ...]) -> Reply:
        missing = [name for name in names if name not in self.enabled()]
        return Reply(1 if missing else 0, "disabled\n" if missing else "enabled\n")

    def _active(self, names: tuple[str, ...]) -> Reply:
        states = [self.services[name].state if name in self.services else State.INACTIVE for name in names]
        status = 0 if State.ACTIVE in states else NOT_ACTIVE
        return Reply(status, "".join(f"{state}\n" for state in states))


def _unit_name(name: str) -> str:
    """`systemctl start x` means `x.service`."""
    return name if "." in name else f"{name}.service"
