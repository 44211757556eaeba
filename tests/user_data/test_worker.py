"""The worker agent around a fake engine: a real process on a loopback address."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.user_data.nodes import WORKER, node
from user_data.agent import worker
from user_data.agent.readiness import PHASES
from user_data.agent.worker import EngineFailedError, Host
from user_data.node_config import WorkerConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.user_data.conftest import LogLines

pytestmark = pytest.mark.slow  # starts programs

KEY = "sk-0123456789abcdef"
FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")
PORTS = itertools.count(21_000 + os.getpid() % 4_000 * 10)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(worker, "get_secret_parameter", lambda _name, _region: KEY)


@pytest.fixture
def host(root: Path) -> Host:
    """A worker host whose engine is the fake one."""
    binary = root / "opt/sglang/venv/bin/sglang"
    binary.parent.mkdir(parents=True)
    binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_ENGINE}" "$@"\n')
    binary.chmod(0o755)
    return _host(ready_timeout_seconds=20)


def _host(**changes: object) -> Host:
    config = WorkerConfig.model_validate(WORKER.model_dump() | {"port": next(PORTS)} | changes)
    return Host(node(worker=config), config, "127.64.9.9")


class Running:
    """A worker in a thread; `stop` is what SIGTERM sets."""

    def __init__(self, host: Host, lines: LogLines) -> None:
        self.stop = threading.Event()
        self.error: Exception | None = None
        self._lines = lines
        self._thread = threading.Thread(target=self._run, args=(host, lines))
        self._thread.start()

    def _run(self, host: Host, lines: LogLines) -> None:
        try:
            worker.run(host, self.stop, lines.log)
        except EngineFailedError as error:
            self.error = error

    def wait_ready(self) -> int:
        for _ in range(500):
            if ready := self._lines.named("worker_ready"):
                return int(ready[0]["pid"])
            self._thread.join(0.02)
        raise AssertionError(self._lines.stream.getvalue())

    def end(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def running(host: Host, lines: LogLines) -> Iterator[Running]:
    started = Running(host, lines)
    yield started
    started.stop.set()
    started.end()


def test_once_ends_when_the_engine_has_generated(host: Host, lines: LogLines) -> None:
    worker.run(host, threading.Event(), lines.log, once=True)
    phases = lines.named("boot_phase")
    assert tuple(phase["phase"] for phase in phases) == PHASES
    seconds = [phase["seconds"] for phase in phases]
    assert seconds == sorted(seconds)
    assert lines.named("worker_ready")[0]["model"] == "org/Tiny"


def test_the_key_reaches_the_engine_and_nothing_else(host: Host, running: Running, root: Path, lines: LogLines) -> None:
    pid = running.wait_ready()
    assert httpx.get(f"{host.url}/v1/models", trust_env=False).status_code == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{host.url}/v1/models", headers=headers, trust_env=False).status_code == 200
    running.stop.set()
    running.end()
    engine_log = (root / "opt/sglang/logs/sglang.log").read_text()
    assert "api_key='***'" in engine_log
    assert f"inductor cache {root}/opt/sglang/torch_compile_cache/inductor" in engine_log
    assert engine_log.endswith("drained\n")
    assert KEY not in engine_log + lines.stream.getvalue()
    assert f"{pid}" in str(lines.named("engine_stopping"))
    assert running.error is None


def test_the_key_is_in_no_argument_and_no_environment(running: Running) -> None:
    process = Path(f"/proc/{running.wait_ready()}")
    assert KEY.encode() not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()


def test_an_engine_that_dies_is_an_error(running: Running) -> None:
    os.kill(running.wait_ready(), signal.SIGKILL)
    running.end()
    assert str(running.error).startswith("the engine ended with -9: ")


def test_an_engine_that_does_not_start_is_an_error_with_its_last_lines(
    host: Host, lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_EXIT", "3")
    with pytest.raises(EngineFailedError, match=r"ended with 3 before it was ready: (?s:.*)inductor cache"):
        worker.run(host, threading.Event(), lines.log)


def test_an_engine_that_is_not_ready_in_time_is_an_error(
    host: Host, lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_DELAY", "30")
    slow = _host(ready_timeout_seconds=1)
    assert host.worker.port != slow.worker.port
    with pytest.raises(EngineFailedError, match=r"did not generate within ready_timeout_seconds=1 .last: ConnectError"):
        worker.run(slow, threading.Event(), lines.log)


def test_a_missing_engine_is_an_error(root: Path, lines: LogLines) -> None:
    assert not (root / "opt/sglang/venv").exists()
    with pytest.raises(FileNotFoundError):
        worker.run(_host(), threading.Event(), lines.log)


def test_sigterm_to_the_agent_ends_the_engine_too(host: Host, root: Path, tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text(
        "import sys\n"
        "from tests.user_data.test_worker import KEY\n"
        "from user_data.agent import __main__ as program, worker\n"
        "worker.get_secret_parameter = lambda name, region: KEY\n"
        "program._private_ip = lambda: '127.64.9.9'\n"
        "sys.exit(program.main(['worker', '--config', sys.argv[1]]))\n"
    )
    config = tmp_path / "node.json"
    config.write_text(host.node.model_dump_json())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [sys.executable, str(script), f"file://{config}"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        lines = iter(agent.stdout.readline, "")
        assert any('"worker_ready"' in line for line in lines)
        agent.terminate()
        assert any('"engine_stopped"' in line for line in lines)
        assert agent.wait(20) == 0
    assert (root / "opt/sglang/logs/sglang.log").read_text().endswith("drained\n")
