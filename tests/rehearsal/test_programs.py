"""A program of a machine is found through its unit and signalled; a stopped one still ends with its unit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rehearsal.processes import is_alive, marked
from rehearsal.programs import NotRunningError, processes, signal_program
from rehearsal.service import HostFolder, State, host_environment
from rehearsal.systemd import ServiceManager
from user_data.node_config import UNIT_ROUTER, UNIT_WORKER

pytestmark = pytest.mark.slow

# A main process that waits for the engine, which has a child of its own.
WORKER = """[Service]
ExecStart=/bin/sh -c 'trap "exit 0" TERM; sh -c "sleep 600; :" & while kill -0 $!; do sleep 0.02; done; exit 7'
KillMode=mixed
TimeoutStopSec=60
Restart=always
RestartSec=0.1
"""

Body = Callable[[ServiceManager], Awaitable[None]]


def run(root: Path, body: Body) -> None:
    folder = root / "etc/systemd/system"
    folder.mkdir(parents=True)
    (folder / UNIT_WORKER).write_text(WORKER)
    (folder / UNIT_ROUTER).write_text("[Service]\nExecStart=/bin/sleep 600\n")
    host = HostFolder(root)
    manager = ServiceManager(host, host_environment(host, {}), lambda _: None)

    async def main() -> None:
        try:
            await manager.start(UNIT_WORKER)
            await until(lambda: len(manager.services[UNIT_WORKER].members()) >= 3)
            await body(manager)
        finally:
            await manager.stop_all(0.5)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert marked("SGLANG_FLEET_ROOT", str(root)) == ()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited 10 s"
        await asyncio.sleep(0.02)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def long_lived(manager: ServiceManager) -> tuple[int, ...]:
    """The engine and its child, without the short sleeps of the main process."""
    return tuple(pid for pid in processes(manager, "engine") if "600" in Path(f"/proc/{pid}/cmdline").read_text())


def test_an_engine_is_stopped_with_its_children_and_goes_on(tmp_path: Path) -> None:
    async def body(manager: ServiceManager) -> None:
        await until(lambda: len(long_lived(manager)) == 2)
        engine, (agent,) = long_lived(manager), processes(manager, "agent")
        signal_program(manager, "engine", "STOP")
        await until(lambda: [state(pid) for pid in engine] == ["T", "T"])
        assert state(agent) != "T"
        signal_program(manager, "engine", "CONT")
        await until(lambda: [state(pid) for pid in engine] == ["S", "S"])

    run(tmp_path, body)


def test_a_killed_engine_is_gone_and_its_agent_is_not(tmp_path: Path) -> None:
    async def body(manager: ServiceManager) -> None:
        await until(lambda: len(long_lived(manager)) == 2)
        engine, (agent,) = long_lived(manager), processes(manager, "agent")
        signal_program(manager, "engine", "KILL")
        await until(lambda: not any(is_alive(pid) for pid in engine))
        await until(lambda: manager.services[UNIT_WORKER].restarts == 1)
        assert manager.services[UNIT_WORKER].last_status == 7, "the agent saw it and ended by itself"
        await until(lambda: processes(manager, "agent") != (agent,) if manager.services[UNIT_WORKER].pid else False)

    run(tmp_path, body)


def test_a_killed_agent_takes_its_engine_along_and_comes_back(tmp_path: Path) -> None:
    async def body(manager: ServiceManager) -> None:
        before = manager.services[UNIT_WORKER].members()
        signal_program(manager, "agent", "KILL")
        await until(lambda: manager.services[UNIT_WORKER].restarts == 1)
        assert not any(is_alive(pid) for pid in before)

    run(tmp_path, body)


def test_a_stopped_agent_ends_in_order_when_its_unit_is_stopped(tmp_path: Path) -> None:
    async def body(manager: ServiceManager) -> None:
        signal_program(manager, "agent", "STOP")
        begun = time.monotonic()
        await manager.stop(UNIT_WORKER)
        assert time.monotonic() - begun < 5, "TimeoutStopSec is 60"
        assert manager.services[UNIT_WORKER].state is State.INACTIVE
        assert manager.services[UNIT_WORKER].last_status == 0

    run(tmp_path, body)


def test_a_stopped_engine_does_not_outlive_its_unit(tmp_path: Path) -> None:
    async def body(manager: ServiceManager) -> None:
        signal_program(manager, "engine", "STOP")
        await manager.stop(UNIT_WORKER, 0.3)
        assert marked("SGLANG_FLEET_ROOT", str(tmp_path)) == ()

    run(tmp_path, body)


def test_a_program_that_does_not_run_is_refused(tmp_path: Path) -> None:
    async def body(manager: ServiceManager) -> None:
        with pytest.raises(NotRunningError, match=r"no router runs: sglang-fleet-router\.service is not active"):
            signal_program(manager, "router", "KILL")
        await manager.start(UNIT_ROUTER)
        assert len(processes(manager, "router")) == 1
        with pytest.raises(NotRunningError, match=r"no discovery runs: sglang-fleet-discovery\.service is not active"):
            signal_program(manager, "discovery", "KILL")

    run(tmp_path, body)
