"""Starts the engine, waits until it generates, and stays its parent until one of them is told to stop.

One step of a worker's life is one method, so that lifecycle hooks, drain and watchdog can be put between them.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from user_data.agent import engine
from user_data.agent.aws import get_secret_parameter
from user_data.agent.host import rooted
from user_data.agent.readiness import PHASE_KEY, PHASE_SPAWNED, Probe
from user_data.agent.redact import pump
from user_data.node_config import ENGINE_LOG, NodeConfig, WorkerConfig

if TYPE_CHECKING:
    from user_data.agent.log import Log

POLL_SECONDS = 0.5
KILL_AFTER_SECONDS = 10.0
"""An engine that did not get ready serves nobody, so it gets little time to end by itself."""
LOG_DRAIN_SECONDS = 5.0
REASON_BYTES = 2_000


class EngineFailedError(RuntimeError):
    """The engine ended, or did not get ready; the sentence says how, with the end of its log."""


@dataclass(frozen=True)
class Host:
    """What a worker has to know of its host."""

    node: NodeConfig
    worker: WorkerConfig
    private_ip: str

    @property
    def url(self) -> str:
        """Where the engine answers."""
        return f"http://{self.private_ip}:{self.worker.port}"


class Phases:
    """Logs each phase of a boot once: seconds since the agent started, and since the host did."""

    def __init__(self, log: Log) -> None:
        """The clock starts here."""
        self._log = log
        self._started = time.monotonic()

    def reached(self, phase: str) -> None:
        """Log that `phase` was reached now."""
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        seconds = round(time.monotonic() - self._started, 3)
        self._log.info("boot_phase", phase=phase, seconds=seconds, host_uptime_seconds=round(since_boot, 3))


class Engine:
    """The engine process and the thread that writes its log."""

    def __init__(self, host: Host, api_key: str | None) -> None:
        """Start it; its output goes to ENGINE_LOG without the key.

        Raises:
            OSError: the engine or its log folder is missing.
        """
        argv = engine.command(host.worker, host.private_ip, with_key=api_key is not None)
        log_path = rooted(ENGINE_LOG)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_file = log_path.open("ab", buffering=0)
        environment = {**os.environ, **engine.environment(), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        self._pump = threading.Thread(target=pump, args=(self._output(), self._log_file, api_key), daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM): SGLang then finishes its requests, without a limit of its own."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once (SIGKILL); its own children go with it, since systemd ends what is left of the unit."""
        if self._process.poll() is None:
            self._process.kill()

    def close(self, patience: float) -> int:
        """Wait `patience` seconds for its end, then kill it; returns its exit code once its log is written."""
        if self._log_file.closed:
            return self._process.wait()
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._pump.join(LOG_DRAIN_SECONDS)
        self._log_file.close()
        return code

    def last_words(self) -> str:
        """Return the end of its log."""
        self._pump.join(POLL_SECONDS)
        return log_end(REASON_BYTES)

    def _output(self) -> IO[bytes]:
        if self._process.stdout is None:  # Popen was given a pipe
            raise AssertionError("the engine's output is a pipe")
        return self._process.stdout


def log_end(size: int) -> str:
    """Return the last `size` bytes of the engine's log, nothing while there is none."""
    path = rooted(ENGINE_LOG)
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        return file.read().decode(errors="replace").strip()


def start(host: Host, phases: Phases, log: Log) -> tuple[Engine, str | None]:
    """Fetch the API key, give it to the engine in a file, and start the engine; returns both.

    Raises:
        AwsError: the key cannot be read.
        SecretFormatError: the key cannot be used.
        OSError: the engine is missing.
    """
    name = host.node.api_key_parameter
    key = get_secret_parameter(name, host.node.region) if name else None
    log.hide(key)
    if key:
        engine.write_api_key(key)
    phases.reached(PHASE_KEY)
    log.info("engine_starting", command=engine.command(host.worker, host.private_ip, with_key=key is not None))
    process = Engine(host, key)
    phases.reached(PHASE_SPAWNED)
    return process, key


def wait_until_ready(process: Engine, probe: Probe, seconds: float, stop: threading.Event) -> bool:
    """Wait until the engine generates; False when `stop` was set first.

    Raises:
        EngineFailedError: it ended, or `seconds` went by.
    """
    deadline = time.monotonic() + seconds
    while not stop.is_set():
        code = process.exit_code()
        if code is not None:
            raise EngineFailedError(f"the engine ended with {code} before it was ready: {process.last_words()}")
        left = deadline - time.monotonic()
        if left <= 0:
            raise EngineFailedError(
                f"the engine did not generate within ready_timeout_seconds={seconds:g} (last: {probe.reason}); "
                f"its log ends: {process.last_words()}"
            )
        if probe.generates(left):
            return True
        stop.wait(POLL_SECONDS)
    return False


def stay(process: Engine, stop: threading.Event, log: Log) -> None:
    """Wait for the engine's end; when `stop` is set, pass SIGTERM on and let it finish its requests.

    Raises:
        EngineFailedError: it ended unasked.
    """
    while process.exit_code() is None and not stop.is_set():
        stop.wait(POLL_SECONDS)
    if not stop.is_set():
        raise EngineFailedError(f"the engine ended with {process.exit_code()}: {process.last_words()}")
    end(process, log)


def end(process: Engine, log: Log) -> None:
    """Pass SIGTERM on and let the engine finish its requests."""
    log.info("engine_stopping", pid=process.pid)
    process.terminate()
    while process.exit_code() is None:  # the unit's TimeoutStopSec is the bound
        time.sleep(POLL_SECONDS / 5)
    log.info("engine_stopped", exit_code=process.exit_code())


def run(host: Host, stop: threading.Event, log: Log, *, once: bool = False) -> None:
    """Be a worker until `stop` is set or the engine ends; with `once`, until it is ready.

    Raises:
        EngineFailedError: the engine ended unasked or did not get ready.
        AwsError: the API key cannot be read.
        SecretFormatError: the API key cannot be used.
        OSError: the engine is missing.
    """
    phases = Phases(log)
    process, key = start(host, phases, log)
    probe = Probe(host.url, key, phases.reached)
    try:
        if wait_until_ready(process, probe, host.worker.ready_timeout_seconds, stop):
            log.info("worker_ready", url=host.url, model=host.worker.served_model_name, pid=process.pid)
            if not once:
                stay(process, stop, log)
    finally:
        probe.close()
        process.terminate()
        process.close(KILL_AFTER_SECONDS)
