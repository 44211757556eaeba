"""A service is started, restarted and stopped as systemd does it: with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rehearsal.processes import marked
from rehearsal.service import HostFolder, Service, State, host_environment
from rehearsal.systemd import ServiceManager
from rehearsal.unit_file import Unit, parse_unit

pytestmark = pytest.mark.slow

Body = Callable[[Service], Awaitable[None]]


def service(tmp_path: Path, text: str, failed: list[Unit] | None = None) -> Service:
    host = HostFolder(tmp_path)
    unit = parse_unit("x.service", f"[Service]\n{text}")
    return Service(unit, host, host_environment(host, {}), (failed if failed is not None else []).append)


def run(one: Service, body: Body) -> None:
    async def main() -> None:
        try:
            await body(one)
        finally:
            await one.stop(1.0)

    asyncio.run(asyncio.wait_for(main(), 20))


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited 10 s"
        await asyncio.sleep(0.02)


def test_a_stop_asks_first_and_the_program_may_finish(tmp_path: Path) -> None:
    one = service(
        tmp_path,
        "ExecStart=/bin/sh -c 'trap \"echo bye; exit 0\" TERM; echo up; while :; do sleep 0.05; done'\nKillMode=mixed",
    )

    async def body(one: Service) -> None:
        assert await one.start()
        await until(lambda: "up" in one.log_path.read_text())
        await one.stop()
        assert one.state is State.INACTIVE

    run(one, body)
    assert one.log_path.read_text().split() == ["up", "bye"]


def test_a_program_that_does_not_listen_is_killed_with_its_children(tmp_path: Path) -> None:
    one = service(
        tmp_path,
        "ExecStart=/bin/sh -c 'trap \"\" TERM; sleep 60 & setsid sleep 60 & echo up; wait'\nTimeoutStopSec=300ms",
    )

    async def body(one: Service) -> None:
        await one.start()
        await until(lambda: "up" in one.log_path.read_text())
        begun = time.monotonic()
        await one.stop()
        assert time.monotonic() - begun < 3

    run(one, body)
    assert marked("SGLANG_FLEET_ROOT", str(tmp_path)) == ()


def test_a_service_that_ends_is_started_again(tmp_path: Path) -> None:
    one = service(
        tmp_path,
        "ExecStart=/bin/sh -c 'echo up; exit 1'\nRestart=always\nRestartSec=10ms\n[Unit]\nStartLimitIntervalSec=0",
    )

    async def body(one: Service) -> None:
        await one.start()
        await until(lambda: one.restarts >= 3)

    run(one, body)


def test_too_many_starts_fail_the_unit_and_say_so(tmp_path: Path) -> None:
    failed: list[Unit] = []
    one = service(tmp_path, "ExecStart=/bin/false\nRestart=always\nRestartSec=1ms", failed)

    async def body(one: Service) -> None:
        await one.start()
        await until(lambda: one.state is State.FAILED)

    run(one, body)
    assert len(failed) == 1
    assert one.restarts == 4
    assert "start request repeated too quickly: 5 starts" in one.log_path.read_text()


def test_a_program_that_is_not_there_fails(tmp_path: Path) -> None:
    one = service(tmp_path, "ExecStart=/no/such/program")

    async def body(one: Service) -> None:
        assert not await one.start()
        assert one.last_status == 203

    run(one, body)


def test_a_process_sees_its_host_and_nothing_of_the_laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the laptop")
    one = service(
        tmp_path,
        f"Type=oneshot\nExecStart={sys.executable} -c 'import os; print(*sorted(os.environ))'\nRuntimeDirectory=x",
    )

    async def body(one: Service) -> None:
        assert await one.start()

    run(one, body)
    names = one.log_path.read_text().split()
    assert "AWS_SECRET_ACCESS_KEY" not in names
    assert {"SGLANG_FLEET_ROOT", "INVOCATION_ID", "RUNTIME_DIRECTORY"} <= set(names)
    assert (tmp_path / "run/x").is_dir()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "of the laptop"


def test_a_failed_unit_powers_the_host_off_when_it_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    (folder / "x.service").write_text("[Unit]\nOnFailure=poweroff.target\n[Service]\nExecStart=/bin/false\n")
    reasons: list[str] = []
    host = HostFolder(tmp_path)
    manager = ServiceManager(host, host_environment(host, {}), reasons.append)

    async def body() -> None:
        assert (await manager.systemctl(("enable", "--now", "x"))).status in {0, 1}
        await until(lambda: bool(reasons))
        assert (await manager.systemctl(("is-active", "x"))).output == "failed\n"
        assert (await manager.systemctl(("start", "absent"))).output == "Unit absent.service not found.\n"
        assert manager.enabled() == ("x.service",)

    asyncio.run(asyncio.wait_for(body(), 20))
    assert reasons == ["x.service failed and names poweroff.target"]
