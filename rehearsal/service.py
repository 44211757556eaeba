"""One service of one machine: started, watched, restarted and stopped as systemd does it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rehearsal.processes import die_with_parent, marked, send
from rehearsal.unit_file import Command, Unit

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KILL_WAIT_SECONDS = 10.0


class State(StrEnum):
    """`systemctl is-active` answers."""

    INACTIVE = "inactive"
    ACTIVATING = "activating"
    ACTIVE = "active"
    DEACTIVATING = "deactivating"
    FAILED = "failed"


@dataclass(frozen=True)
class HostFolder:
    """A machine's root folder; absolute paths of the host live below it."""

    root: Path

    def path(self, absolute: str) -> Path:
        """Where a host's absolute path is on this machine."""
        return self.root / absolute.lstrip("/")

    def program(self, name: str) -> str:
        """A program as the host names it: from its own tree when it is there, else the laptop's."""
        own = self.path(name)
        return str(own) if name.startswith("/") and own.exists() else name


@dataclass
class Service:
    """A unit and the process that runs it. All methods belong to the event loop of the supervisor."""

    unit: Unit
    host: HostFolder
    environment: dict[str, str]
    on_failed: Callable[[Unit], None]
    state: State = State.INACTIVE
    restarts: int = 0
    last_status: int | None = None
    _process: asyncio.subprocess.Process | None = None
    _task: asyncio.Task[None] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _settled: asyncio.Event = field(default_factory=asyncio.Event)
    _invocation: str = ""
    _starts: deque[float] = field(default_factory=deque)

    @property
    def log_path(self) -> Path:
        """Where the service's output goes: its own file, or what stands for the journal."""
        return self.host.path(self.unit.log_file or f"/var/log/journal/{self.unit.name}.log")

    @property
    def pid(self) -> int | None:
        """Process id of the main process, while there is one."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else None

    async def start(self) -> bool:
        """Start, and wait until the main process runs (or, for oneshot, has ended).

        Returns:
            Whether that succeeded.
        """
        if self._task is None or self._task.done():
            self._stopping.clear()
            self._settled.clear()
            self._starts.clear()
            self.state = State.ACTIVATING
            self._task = asyncio.create_task(self._run(), name=self.unit.name)
        await self._settled.wait()
        return self.state is not State.FAILED

    async def stop(self, limit_seconds: float = float("inf")) -> None:
        """Stop: the unit's signal, then SIGKILL when its time (or the given limit) is over."""
        if self._task is None or self._task.done():
            return
        self._stopping.set()
        self.state = State.DEACTIVATING
        everyone = self.unit.kill_mode == "control-group"
        self._send(self.unit.kill_signal, everyone=everyone)
        # systemd.kill(5), KillSignal: SIGCONT follows at once, so that a suspended process can end as asked.
        self._send(signal.SIGCONT, everyone=everyone)
        allowed = min(self.unit.stop_seconds, limit_seconds)
        await asyncio.wait({self._task}, timeout=None if allowed == float("inf") else allowed)
        if not self._task.done():
            self._send(signal.SIGKILL, everyone=True)
            await asyncio.wait({self._task}, timeout=KILL_WAIT_SECONDS)

    def members(self) -> tuple[int, ...]:
        """Every process of the unit, the main one included."""
        return marked("INVOCATION_ID", self._invocation) if self._invocation else ()

    def _send(self, number: signal.Signals, *, everyone: bool) -> None:
        members = self.members() if everyone else ()
        send(members or ((self.pid,) if self.pid else ()), number)

    async def _run(self) -> None:
        """Until stopped, ended for good, or failed."""
        while True:
            status = await self._run_once()
            self.last_status = status
            if self._stopping.is_set() or (self.unit.one_shot and status == 0):
                self._settle(State.INACTIVE if self._stopping.is_set() else State.ACTIVE)
                return
            if not self.unit.restarts_after(status):
                failed = status not in self.unit.success_statuses
                self._settle(State.FAILED if failed else State.INACTIVE)
                return
            if self._limit_hit(time.monotonic()):
                self._note(f"start request repeated too quickly: {self.unit.start_limit_burst} starts")
                self._settle(State.FAILED)
                return
            self.state = State.ACTIVATING
            self.restarts += 1
            self._note(f"ended with status {status}; starting again in {self.unit.restart_seconds:g} s")
            await self._pause(self.unit.restart_seconds)
            if self._stopping.is_set():
                self._settle(State.INACTIVE)
                return

    def _settle(self, state: State) -> None:
        self.state = state
        self._settled.set()
        if state is State.FAILED:
            self._note(f"failed with status {self.last_status}")
            self.on_failed(self.unit)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), timeout=seconds)
        except TimeoutError:
            return

    def _limit_hit(self, now: float) -> bool:
        """systemd.unit(5), StartLimitIntervalSec: more than BURST starts within the interval fail the unit."""
        interval, burst = self.unit.start_limit_interval_seconds, self.unit.start_limit_burst
        while self._starts and self._starts[0] < now - interval:
            self._starts.popleft()
        return interval > 0 and burst > 0 and len(self._starts) >= burst

    async def _run_once(self) -> int:
        """One life of the service: before, main, clean up, after."""
        self._starts.append(time.monotonic())
        self._invocation = uuid.uuid4().hex
        environment = self._full_environment()
        status = await self._sequence(self.unit.before, environment)
        if status == 0 and not self._stopping.is_set():
            status = await self._main(environment)
        await self._clean_up()
        await self._sequence(self.unit.after_stop, environment)
        return status

    async def _main(self, environment: dict[str, str]) -> int:
        if self.unit.one_shot:
            return await self._sequence(self.unit.commands, environment)
        self._process = await self._spawn(self.unit.commands[0], environment)
        if self._process is None:
            return 203  # systemd's EXIT_EXEC
        self.state = State.ACTIVE
        self._settled.set()
        if self._stopping.is_set():  # a stop that came while the process was being made
            self._send(self.unit.kill_signal, everyone=False)
        return await self._process.wait()

    async def _clean_up(self) -> None:
        """End what the main process left running, as systemd empties the unit's control group."""
        deadline = time.monotonic() + min(self.unit.stop_seconds, KILL_WAIT_SECONDS)
        send(self.members(), signal.SIGTERM)
        while members := self.members():
            if time.monotonic() > deadline:
                send(members, signal.SIGKILL)
            await asyncio.sleep(0.05)

    async def _sequence(self, commands: tuple[Command, ...], environment: dict[str, str]) -> int:
        for command in commands:
            self._process = await self._spawn(command, environment)
            status = 203 if self._process is None else await self._process.wait()
            if status != 0 and not command.may_fail:
                return status
        return 0

    async def _spawn(self, command: Command, environment: dict[str, str]) -> asyncio.subprocess.Process | None:
        """Start a command of the unit; None (and a line in the log) when there is no such program."""
        program, *arguments = command.arguments
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        folder = self.host.path(self.unit.working_directory or "/")
        with self.log_path.open("ab") as output:
            try:
                return await asyncio.create_subprocess_exec(
                    self.host.program(program),
                    *arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            except OSError as error:
                self._note(f"cannot start {program}: {error}")
                return None

    def _full_environment(self) -> dict[str, str]:
        environment = {**self.environment, **dict(self.unit.environment), "INVOCATION_ID": self._invocation}
        for name in self.unit.environment_files:
            environment.update(_read_environment_file(self.host.path(name.lstrip("-"))))
        for name in self.unit.runtime_directories:
            folder = self.host.path(f"/run/{name}")
            folder.mkdir(parents=True, exist_ok=True)
            environment["RUNTIME_DIRECTORY"] = str(folder)
        return environment

    def _note(self, text: str) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("a") as output:
            output.write(f"systemd[rehearsal]: {self.unit.name}: {text}\n")


def _read_environment_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#;")
    return {name: value.strip("\"'") for name, _, value in pairs}


def host_environment(host: HostFolder, extra: dict[str, str]) -> dict[str, str]:
    """What every process of a machine starts from. Nothing of the laptop's environment is inherited.

    AWS credentials come from the metadata service; the configuration files are named so that the laptop's own
    are never read.
    """
    return {
        "PATH": f"{host.path('/usr/bin')}{os.pathsep}{SYSTEM_PATH}",
        "HOME": str(host.path("/root")),
        "LANG": "C.UTF-8",
        "TMPDIR": str(host.path("/tmp")),  # noqa: S108 - below the machine's own root
        "SGLANG_FLEET_ROOT": str(host.root),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "*",
        "no_proxy": "*",
        **extra,
    }
