"""Engine emulators and one router as processes on loopback addresses, joined by the manifest that discovery writes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from rehearsal.engine.ledger import Entry, read_ledger
from settings.router import RouterSettings
from user_data.agent import manifest, router
from user_data.node_config import RouterConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

REPOSITORY = Path(__file__).resolve().parent.parent
NETWORK = "127.64.42"
ROUTER_HOST = f"{NETWORK}.100"
ROUTER_PORT = 8000
METRICS_PORT = 29_000
ENGINE_PORT = 30_000
MODEL = "emulated"
READY_SECONDS = 30.0
REGISTRATION_SECONDS = 1.5


def engine_url(number: int) -> str:
    """Return where engine `number` (from 1) answers."""
    return f"http://{NETWORK}.{number}:{ENGINE_PORT}"


def router_config(path: Path) -> RouterConfig:
    """Return a router host's configuration with the values that settings/router.py gives by default."""
    settings = RouterSettings()
    return RouterConfig(
        listen=ROUTER_HOST,
        port=ROUTER_PORT,
        prometheus_port=METRICS_PORT,
        policy=settings.policy,
        balance_abs_threshold=settings.balance_abs_threshold,
        balance_rel_threshold=settings.balance_rel_threshold,
        max_concurrent_requests=settings.max_concurrent_requests,
        request_timeout_seconds=settings.request_timeout_seconds,
        discovery_interval_seconds=settings.discovery_interval_seconds,
        manifest=str(path),
    )


@dataclass
class Fleet:
    """One run: its folder, the router, and its engines by number. A context manager that leaves nothing running."""

    folder: Path
    smg: Path
    extra: Sequence[str]
    """Words appended to the router's command line; of an option given twice the last one holds."""
    health_seconds: float = 1.0
    """How long an engine's health check takes: 1 s in SGLang, longer while a part of a long prompt is computed."""

    def __post_init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.kill()
            process.send_signal(signal.SIGCONT)
        for process in self._processes.values():
            process.wait()

    @property
    def manifest(self) -> Path:
        """The router's worker list."""
        return self.folder / "workers.json"

    def start(self, numbers: Iterable[int]) -> None:
        """Start engines and wait until they answer."""
        for number in numbers:
            config = self.folder / f"engine-{number}.json"
            settings = {"ledger": str(self._ledger(number)), "health_seconds": self.health_seconds}
            config.write_text(json.dumps(settings))
            words = ("--model-path", MODEL, "--host", f"{NETWORK}.{number}", "--port", str(ENGINE_PORT))
            self._spawn(
                str(number),
                [sys.executable, "-m", "rehearsal.engine", "serve", *words, "--enable-metrics"],
                {"SGLANG_EMULATOR_CONFIG": str(config)},
            )
            _wait(f"{engine_url(number)}/ready")

    def start_router(self, numbers: Iterable[int]) -> None:
        """Start the router with these engines listed, and leave it the time to register them: two health checks each.

        Whether they are then well in its eyes is for the scenario to find out.
        """
        self.list(numbers)
        words = router.arguments(router_config(self.manifest), ROUTER_HOST)
        self._spawn("router", [str(self.smg), "launch", *words, *self.extra], {})
        _wait(f"http://{ROUTER_HOST}:{ROUTER_PORT}/liveness")
        time.sleep(REGISTRATION_SECONDS + 2 * self.health_seconds)

    def list(self, numbers: Iterable[int]) -> None:
        """Put exactly these engines on the router's list."""
        entries = tuple(manifest.Entry(id=f"i-{number}", url=engine_url(number)) for number in numbers)
        manifest.write_manifest(self.manifest, manifest.Manifest(workers=entries))

    def signal(self, number: int, what: signal.Signals) -> None:
        """Stop, continue or kill an engine."""
        self._processes[str(number)].send_signal(what)

    def entries(self, numbers: Iterable[int]) -> tuple[Entry, ...]:
        """Return what the engines wrote down."""
        files = [self._ledger(number) for number in numbers]
        return tuple(entry for file in files if file.exists() for entry in read_ledger(file))

    def health(self) -> dict[str, bool]:
        """Return what the router thinks of each worker that it knows, by URL."""
        text = httpx.get(f"http://{ROUTER_HOST}:{METRICS_PORT}/metrics", trust_env=False, timeout=5).text
        found = re.findall(r'^smg_worker_health\{[^}]*worker="([^"]+)"[^}]*\} (\S+)', text, re.MULTILINE)
        return {url: float(value) == 1 for url, value in found}

    def _ledger(self, number: int) -> Path:
        return self.folder / f"ledger-{number}.jsonl"

    def _spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment}
            )


def _wait(url: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(url, trust_env=False, timeout=1).is_success:
                return
        except httpx.TransportError:
            pass  # it is not there yet; the time limit below is the error
        time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer within {READY_SECONDS:g} s; see the logs in the run's folder")
