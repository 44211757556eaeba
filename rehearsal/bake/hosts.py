"""Build hosts as the supervisor handles them: started from a base image, thrown away when their instance is gone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rehearsal.bake.base_image import layers, make_base, sshd_configuration
from rehearsal.bake.content import ContentError, discard, unfold
from rehearsal.bake.throwaway import BuildHost
from rehearsal.cloud_config import BuildConfig
from rehearsal.emulated_aws.inventory import Instance
from rehearsal.places import REPOSITORY
from rehearsal.processes import die_with_parent
from rehearsal.service import SYSTEM_PATH, HostFolder

READY_SECONDS = 30.0
STOP_SECONDS = 5.0
VOLUME_BYTES = 64 << 20


class BuildHostError(Exception):
    """A build host does not come up."""


@dataclass
class RunningHost:
    """The process that holds a build host, and what it prints."""

    process: asyncio.subprocess.Process
    printing: asyncio.Task[None]
    ready: asyncio.Event

    async def is_ready(self, seconds: float) -> bool:
        """Wait until the host answers, has ended, or the time is over."""
        ready = asyncio.create_task(self.ready.wait())
        await asyncio.wait({self.printing, ready}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        return self.ready.is_set()

    async def stop(self) -> None:
        """End the host with everything that runs on it."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        await self.printing


@dataclass
class BuildHosts:
    """Starts build hosts."""

    config: BuildConfig
    folder: Path
    """Beside the machines' roots, on the same file system."""
    small: Mapping[str, str] = field(default_factory=dict)
    """What a test orders: folders of the next hosts that hold only so much."""
    _known: dict[str, HostFolder] = field(default_factory=dict)
    _discarding: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, instance: Instance, host: HostFolder, content: Path | None = None) -> RunningHost:
        """Switch a build host on, from an image that was baked or from a public one, and wait until it answers SSH.

        Raises:
            BuildHostError: it does not come up.
        """
        self._known[instance.id] = host
        try:
            description = await asyncio.to_thread(self._prepare, instance, host, content)
        except (ContentError, OSError) as error:
            raise BuildHostError(f"the host's folder cannot be made: {error}") from error
        log = self.folder / instance.id / "host.log"
        running = await _run(description, host, log)
        if not await running.is_ready(READY_SECONDS):
            await running.stop()
            raise BuildHostError(f"it does not answer SSH at {instance.private_ip}:{self.config.port}; {log} says why")
        return running

    def _prepare(self, instance: Instance, host: HostFolder, content: Path | None) -> Path:
        """Files of a host; those of its root only once, as an instance's volume keeps what it holds."""
        folder = self.folder / instance.id
        folder.mkdir(parents=True, exist_ok=True)
        if not host.path("/usr").exists():
            if content is not None:
                unfold(content, host.root)
            make_base(host, self.config.user, instance.authorized_key or "")
        key = folder / "host_key"
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        configuration = folder / "sshd_config"
        configuration.write_text(sshd_configuration(self.config.user, self.config.environment))
        configuration.chmod(0o600)  # an index's address may carry a password
        description = folder / "build-host.json"
        description.write_text(json.dumps(asdict(self._describe(instance, host)), indent=1))
        return description

    def _describe(self, instance: Instance, host: HostFolder) -> BuildHost:
        folder = self.folder / instance.id
        return BuildHost(
            name=instance.id,
            root=str(host.root),
            work=str(folder),
            layers=layers(),
            address=instance.private_ip,
            port=self.config.port,
            host_key=str(folder / "host_key"),
            configuration=str(folder / "sshd_config"),
            read_only=tuple(self.config.read_only.items()),
            volumes=tuple((device, str(file)) for device, file in self._volumes(instance)),
            small=tuple(self.small.items()),
        )

    def _volumes(self, instance: Instance) -> Iterator[tuple[str, Path]]:
        """The volumes besides the root's. Of their size they have little: a rehearsal's model is small."""
        for device in instance.devices[1:]:
            file = self.folder / instance.id / device.replace("/", "_").lstrip("_")
            if not file.exists():
                with file.open("wb") as volume:
                    volume.truncate(VOLUME_BYTES)
            yield device, file

    def forget_but(self, instances: Collection[str]) -> None:
        """Throw away what instances that are gone have held; their logs stay. A stopped one keeps its files."""
        for gone in self._known.keys() - instances:
            task = asyncio.create_task(asyncio.to_thread(self._discard, self._known.pop(gone)), name=f"end of {gone}")
            self._discarding.add(task)
            task.add_done_callback(self._discarding.discard)

    def _discard(self, host: HostFolder) -> None:
        discard(host.root)
        for entry in (self.folder / host.root.name).glob("*"):
            if entry.is_dir():
                discard(entry)


async def _run(description: Path, host: HostFolder, log: Path) -> RunningHost:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rehearsal.bake.throwaway",
        str(description),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=REPOSITORY,
        env={"PATH": SYSTEM_PATH, "SGLANG_FLEET_ROOT": str(host.root)},
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    ready = asyncio.Event()
    return RunningHost(process, asyncio.create_task(_print(process, log, ready), name=f"output of {host.root}"), ready)


async def _print(process: asyncio.subprocess.Process, log: Path, ready: asyncio.Event) -> None:
    """Write what a host prints into its log: through a pipe, so that the host has no file of this computer open."""
    assert process.stdout is not None  # noqa: S101 - for the type checker: stdout=PIPE
    with log.open("ab", buffering=0) as output:
        async for line in process.stdout:
            os.write(output.fileno(), line)
            if line == b"ready\n":
                ready.set()
