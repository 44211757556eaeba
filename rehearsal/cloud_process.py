"""The emulated cloud as the rehearsal sees it: started, asked, stopped; one at a time on a machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rehearsal.cloud_config import CloudConfig
from rehearsal.commands import StepFailedError
from rehearsal.places import API_ADDRESS, API_PORT, CONTROL_PORT, CONTROL_URL, REPOSITORY, WorkFolder
from rehearsal.processes import die_with_parent_gently, end_marked, is_alive

START_SECONDS = 60.0
STOP_SECONDS = 30.0
ASK_SECONDS = 5.0


class BusyError(Exception):
    """Another rehearsal, or another program, holds the addresses."""


@dataclass(frozen=True)
class RunningCloud:
    """A cloud that answers on the control port."""

    pid: int
    work: Path


def _ask(method: str, path: str) -> Any:  # noqa: ANN401 - JSON of any shape
    with httpx.Client(trust_env=False, timeout=ASK_SECONDS) as client:
        response = client.request(method, f"{CONTROL_URL}{path}")
        response.raise_for_status()
        return response.json()


def find_running() -> RunningCloud | None:
    """The cloud that runs on this machine, or None."""
    try:
        answer = _ask("GET", "/health")
    except (httpx.HTTPError, ValueError):
        return None
    return RunningCloud(int(answer["pid"]), Path(answer["work"]))


def _tell(path: str) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        answer = _ask("GET", path)
    except httpx.HTTPError as error:
        raise StepFailedError(f"the emulated cloud at {CONTROL_URL} does not answer: {error}") from error
    return answer


def machines() -> list[dict[str, Any]]:
    """What the supervisor tells about its running machines.

    Raises:
        StepFailedError: the cloud does not answer.
    """
    return list(_tell("/machines"))


def incidents() -> list[dict[str, str]]:
    """Machines that powered themselves off: `instance_id`, `reason` and `log`.

    Raises:
        StepFailedError: the cloud does not answer.
    """
    return list(_tell("/incidents"))


def switched_on() -> list[str]:
    """Instances whose machine runs or is shutting down.

    Raises:
        StepFailedError: the cloud does not answer.
    """
    return list(_tell("/switched-on"))


def calls() -> dict[str, int]:
    """How often each action of the AWS API was asked for by others than the rehearsal, as `ec2:RunInstances` → 1.

    Raises:
        StepFailedError: the cloud does not answer.
    """
    return dict(_tell("/calls"))


def _address_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((API_ADDRESS, port))
        except OSError:
            return False
    return True


def claim(work: WorkFolder) -> tuple[int, ...]:
    """Make sure that no rehearsal runs, and end what a killed one left in this work folder.

    Returns:
        Processes that had to be ended.

    Raises:
        BusyError: one runs, or the addresses are in use.
    """
    running = find_running()
    if running is not None:
        raise BusyError(
            f"a rehearsal is running already (process {running.pid}, work folder {running.work}); "
            "wait for it to end, or end it with `fleet rehearse --down`"
        )
    stale = end_stale(work)
    for port in (API_PORT, CONTROL_PORT):
        if not _address_free(port):
            raise BusyError(
                f"{API_ADDRESS}:{port} is in use by another program; end it (`ss -ltnp` names it) and start again"
            )
    return stale


def end_stale(work: WorkFolder) -> tuple[int, ...]:
    """End a cloud that no longer answers, and every process of its machines."""
    ended: list[int] = []
    pid = int(work.cloud_pid.read_text()) if work.cloud_pid.is_file() else None
    if pid is not None and is_alive(pid) and _is_cloud(pid):
        os.kill(pid, signal.SIGKILL)
        ended.append(pid)
    work.cloud_pid.unlink(missing_ok=True)
    return (*ended, *end_marked("SGLANG_FLEET_ROOT", str(work.machines)))


def _is_cloud(pid: int) -> bool:
    """Whether a process is the cloud and not one that was given its number later."""
    try:
        return b"rehearsal.cloud" in Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return False


def start(work: WorkFolder, config: CloudConfig, *, keep: bool) -> subprocess.Popen[bytes]:
    """Start the cloud and wait until it answers. Unless kept, it ends, in order, with the process that started it.

    Raises:
        StepFailedError: it does not come up.
    """
    work.cloud_config.write_text(config.model_dump_json(indent=1))
    log = work.log("cloud")
    preexec: Callable[[], None] | None = None if keep else die_with_parent_gently
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "rehearsal.cloud", "--work", str(work.root)],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=preexec,  # noqa: PLW1509 - this process has no other thread yet, and the call is one prctl
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StepFailedError(f"the emulated cloud ended at once with status {process.returncode}", log)
        running = find_running()
        if running is not None and running.pid == process.pid:
            return process
        time.sleep(0.1)
    process.kill()
    raise StepFailedError(f"the emulated cloud does not answer after {START_SECONDS:.0f} s", log)


def stop(work: WorkFolder) -> None:
    """Stop the cloud with all its machines and wait until it is gone.

    Raises:
        StepFailedError: something would not end.
    """
    running = find_running()
    if running is not None and running.work == work.root:  # never another checkout's
        os.kill(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while is_alive(running.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    left = end_stale(work)
    if left:
        raise StepFailedError(f"processes {', '.join(map(str, left))} did not end by themselves", work.log("cloud"))
