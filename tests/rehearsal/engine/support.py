"""Engines as processes on loopback addresses, for the tests of this folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).resolve().parents[3]
KEY = "key-made-for-this-test"


@dataclass
class RunningEngine:
    """An engine's process and where it listens."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    headers: dict[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {KEY}"})

    def client(self) -> httpx.Client:
        """A client that holds the key and speaks to this engine only."""
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=60, trust_env=False)

    def wait_ready(self, seconds: float) -> None:
        """Wait until /ready answers 200."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if self._ready():
                return
            time.sleep(0.05)
        raise AssertionError(f"{self.url} is not ready after {seconds} s:\n{self.log.read_text()[-3000:]}")

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def started(
    command: Sequence[str], address: str, folder: Path, environment: dict[str, str] | None = None
) -> Iterator[RunningEngine]:
    """Run `command --host address --port … --config <key>` in its own process group; nothing of it is left behind."""
    port = free_port(address)
    secret = folder / "secret.yaml"
    secret.touch(mode=0o600)
    secret.write_text(f"api-key: {KEY}\n")
    log = folder / f"{address}.log"
    full = [*command, "--host", address, "--port", str(port), "--config", str(secret)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            full,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield RunningEngine(process, f"http://{address}:{port}", log)
    finally:
        _kill_group(process)


def emulator_command(*arguments: str, model: str = "tiny-model") -> list[str]:
    """The emulator's command line."""
    return [sys.executable, "-m", "rehearsal.engine", "serve", "--model-path", model, "--enable-metrics", *arguments]


def write_config(folder: Path, **settings: object) -> dict[str, str]:
    """An emulator configuration file and the environment that names it."""
    path = folder / "emulator.json"
    path.write_text(json.dumps(settings))
    return {"SGLANG_EMULATOR_CONFIG": str(path)}


@dataclass(frozen=True)
class Process:
    """What `ps` shows of a process."""

    group: int
    arguments: str
    environment: str


def processes() -> Iterator[Process]:
    """All processes whose arguments this user may read."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
            texts = [(folder / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        yield Process(group, *texts)


def free_port(address: str) -> int:
    """A port that nobody uses on this address."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
