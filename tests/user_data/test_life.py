"""A worker's life around the engine emulator: real processes and streams, a group and metadata that the test plays."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.user_data.nodes import GROUPED_WORKER, LIFE_CYCLE, node
from user_data.agent import drain, group_calls, life, worker
from user_data.agent.aws import AwsError
from user_data.agent.group_calls import GroupCalls
from user_data.agent.metadata import SpotNotice
from user_data.agent.signals import Watch
from user_data.agent.worker import EngineFailedError, Host
from user_data.node_config import LifeCycleConfig, WorkerConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.user_data.conftest import LogLines
    from user_data.agent.aws import HookResult

pytestmark = pytest.mark.slow  # starts programs

REPOSITORY = Path(__file__).parents[2]
KEY = "sk-0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {KEY}"}
PORTS = itertools.count(23_000 + os.getpid() % 4_000 * 10)
SETTLE = 1.0
TOKENS = 120  # 30 ms each: a stream of 3.6 s
Call = tuple[str, float]


@dataclass
class World:
    """The Auto Scaling group, EC2 and the metadata service, as far as one worker sees them."""

    target: str = "InService"
    spot: SpotNotice | None = None
    holding: set[str] = field(default_factory=lambda: {"launching"})
    calls: list[Call] = field(default_factory=list)
    engine_pid: Callable[[], int] | None = None

    def named(self, name: str) -> list[float]:
        return [at for call, at in self.calls if call == name]

    def _note(self, name: str) -> None:
        self.calls.append((name, time.time()))

    def leave(self) -> None:
        self.target = "Terminated"
        self.holding.add("terminating")

    def complete_lifecycle_action(self, hook: str, result: HookResult) -> None:
        if hook not in self.holding:
            raise AwsError("autoscaling:CompleteLifecycleAction", "ValidationError", "No active Lifecycle Action found")
        self.holding.remove(hook)
        self._note(f"{hook} {result}")
        if result == "ABANDON":
            self.leave()
        if hook == "terminating" and self.engine_pid:
            os.kill(self.engine_pid(), signal.SIGKILL)  # EC2 ends the host

    def record_heartbeat(self, hook: str) -> None:
        self._note(f"beat {hook}")

    def set_unhealthy(self) -> None:
        self._note("unhealthy")
        self.leave()

    def terminate_in_group(self) -> None:
        self._note("terminate")
        self.leave()

    def target_lifecycle_state(self) -> str | None:
        return self.target

    def spot_notice(self) -> SpotNotice | None:
        return self.spot

    def rebalance_recommended(self) -> bool:
        return False


class Agent:
    """The agent in a thread, restarted when it fails, as systemd would."""

    def __init__(self, host: Host, world: World, lines: LogLines) -> None:
        self.stop = threading.Event()
        self.failures: list[EngineFailedError] = []
        self.lines = lines
        self.host, self.world = host, world
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.stop.is_set():
            try:
                self._live()
            except EngineFailedError as error:
                self.failures.append(error)

    def _live(self) -> None:
        config = self.host.worker.life_cycle
        assert config is not None
        log = self.lines.log
        calls = GroupCalls(self.world, self.stop, log)
        life.Life(life.Scene(self.host, config, calls, Watch(self.world, log), self.stop, log)).run()

    @property
    def pid(self) -> int:
        return int(self.lines.named("worker_ready")[-1]["pid"])

    def wait_for(self, event: str, count: int = 1, seconds: float = 30) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if len(found := self.lines.named(event)) >= count:
                return found[-1]
            time.sleep(0.02)
        raise AssertionError(f"no {event}:\n{self.lines.stream.getvalue()}")

    def end(self) -> None:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


if TYPE_CHECKING:
    Start = Callable[..., Agent]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(worker, "get_secret_parameter", lambda _name, _region: KEY)
    monkeypatch.setattr(life, "TICK_SECONDS", 0.1)
    monkeypatch.setattr(group_calls, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(group_calls, "INVALID_PATIENCE_SECONDS", 0.3)
    settings = tmp_path / "emulator.json"
    settings.write_text(json.dumps({"drain_poll_seconds": 0.1}))
    monkeypatch.setenv("SGLANG_EMULATOR_CONFIG", str(settings))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start(root: Path, world: World, lines: LogLines) -> Iterator[Start]:
    binary = root / "opt/sglang/venv/bin/sglang"
    binary.parent.mkdir(parents=True)
    binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rehearsal.engine "$@"\n')
    binary.chmod(0o755)
    agents: list[Agent] = []

    def begin(ready_timeout: int = 30, **watchdog: float) -> Agent:
        agents.append(Agent(_host(ready_timeout, watchdog), world, lines))
        return agents[-1]

    yield begin
    for agent in agents:
        agent.end()


def _host(ready_timeout: int, watchdog: dict[str, float]) -> Host:
    cycle = LifeCycleConfig.model_validate(LIFE_CYCLE.model_dump() | {"settle_seconds": SETTLE, "watchdog": watchdog})
    changes = {"port": next(PORTS), "life_cycle": cycle, "ready_timeout_seconds": ready_timeout, "engine_arguments": ()}
    config = WorkerConfig.model_validate(GROUPED_WORKER.model_dump() | changes)
    return Host(node(worker=config), config, "127.64.9.9")


class Stream:
    """A client of one stream."""

    def __init__(self, url: str, tokens: int = TOKENS) -> None:
        self.events: list[str] = []
        self.error: httpx.TransportError | None = None
        self.ended = 0.0
        self._thread = threading.Thread(target=self._run, args=(url, tokens))
        self._thread.start()

    def _run(self, url: str, tokens: int) -> None:
        sampling = {"max_new_tokens": tokens, "ignore_eos": True, "temperature": 0}
        body = {"text": "a long story", "stream": True, "sampling_params": sampling}
        try:
            with httpx.stream(
                "POST", f"{url}/generate", json=body, headers=HEADERS, timeout=30, trust_env=False
            ) as got:
                self.events = [line for line in got.iter_lines() if line]
        except httpx.TransportError as error:
            self.error = error
        self.ended = time.time()

    def complete(self) -> bool:
        self._thread.join(60)
        return self.error is None and bool(self.events) and self.events[-1] == "data: [DONE]"


def _drain_one_stream(start: Start, world: World) -> None:
    """Scale a worker in while it streams, and check what the acceptance asks for."""
    agent = start()
    agent.wait_for("worker_ready")
    world.engine_pid = lambda: agent.pid
    stream = Stream(agent.host.url)
    time.sleep(0.5)
    world.leave()
    assert stream.complete(), f"LOST: the stream was cut: {stream.error}, {len(stream.events)} events"
    agent.wait_for("hook_completed", 2)
    (completed,) = world.named("terminating CONTINUE")
    assert 0 < completed - stream.ended < 5
    assert world.named("beat terminating")


def test_a_drained_worker_answers_the_hook_after_its_last_stream(start: Start, world: World) -> None:
    _drain_one_stream(start, world)


def test_the_check_fails_when_the_hook_is_answered_at_once(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "plan", lambda *_args, **_words: "finish")
    with pytest.raises(AssertionError, match="LOST"):
        _drain_one_stream(start, world)


def test_an_idle_worker_waits_until_the_router_has_surely_stopped(start: Start, world: World) -> None:
    agent = start()
    agent.wait_for("worker_ready")
    left = time.time()
    world.leave()
    agent.wait_for("hook_completed", 2)
    assert SETTLE <= world.named("terminating CONTINUE")[0] - left < SETTLE + 3
    time.sleep(0.5)
    assert len(agent.lines.named("engine_starting")) == 1  # it rests, and starts no engine for nobody
    phases = [line["phase"] for line in agent.lines.named("boot_phase")]
    assert phases == ["key_fetched", "engine_spawned", "engine_listening", "first_generation"]  # the drain asks too


def test_the_launch_hook_is_completed_once_with_heartbeats_before(start: Start, world: World) -> None:
    agent = start()
    agent.wait_for("hook_completed")
    assert [call for call, _ in world.calls] == ["beat launching", "launching CONTINUE"]
    os.kill(agent.pid, signal.SIGKILL)
    agent.wait_for("worker_ready", 2)
    time.sleep(0.3)
    assert len(world.named("launching CONTINUE")) == 1
    assert str(agent.failures[0]).startswith("the engine ended with -9 in service: ")


def test_a_worker_that_never_gets_ready_is_abandoned_with_its_last_lines(
    start: Start, world: World, root: Path
) -> None:
    (root / "opt/sglang/venv/bin/sglang").write_text("#!/bin/sh\necho no such GPU >&2\nexit 3\n")
    agent = start(max_restarts=2, abandon_not_before_seconds=0)
    told = agent.wait_for("worker_not_ready")
    assert told["reason"].startswith("3 failures within restart_window_seconds=600")
    assert told["last_failure"].startswith("the engine ended with 3 before it was ready")
    assert told["engine_log"][-1] == "no such GPU"
    agent.wait_for("hook_completed", 2)  # the group takes it out through the terminating hook
    assert [call for call, _ in world.calls if "beat" not in call] == ["launching ABANDON", "terminating CONTINUE"]
    assert len(agent.failures) == 2


def test_an_engine_that_is_too_slow_is_abandoned(start: Start, world: World, root: Path) -> None:
    (root / "opt/sglang/venv/bin/sglang").write_text("#!/bin/sh\necho loading; exec sleep 60\n")
    agent = start(ready_timeout=1, abandon_not_before_seconds=0)
    told = agent.wait_for("worker_not_ready")
    assert told["reason"] == "not ready within ready_timeout_seconds=1"
    assert told["engine_log"] == ["loading"]
    agent.wait_for("hook_completed")
    assert world.named("launching ABANDON")


def test_a_warm_pool_host_runs_the_engine_once_and_is_launched_later(start: Start, world: World, root: Path) -> None:
    world.target = "Warmed:Stopped"
    agent = start()
    agent.wait_for("warm_pool_prepared")
    assert len(world.named("launching CONTINUE")) == 1
    assert agent.lines.named("engine_stopped")
    with pytest.raises(ProcessLookupError):
        os.kill(agent.pid, 0)
    world.holding.add("launching")
    world.target = "InService"
    agent.wait_for("worker_ready", 2)
    agent.wait_for("hook_completed", 2)
    assert len(world.named("launching CONTINUE")) == 2
    assert (root / "run/sglang-fleet/worker-life.json").is_file()


def test_a_hung_engine_is_killed_started_again_and_at_last_replaced(start: Start, world: World) -> None:
    agent = start(probe_interval_seconds=0.2, probe_timeout_seconds=0.5, strikes=2, max_restarts=1)
    for ready in (1, 2):
        agent.wait_for("worker_ready", ready)
        time.sleep(0.5)
        os.kill(agent.pid, signal.SIGSTOP)
    told = agent.wait_for("worker_unhealthy")
    assert told["last_failure"].startswith("the engine hung in service and was killed: 2 generations in a row failed")
    agent.wait_for("hook_completed", 2)
    names = [call for call, _ in world.calls if "beat" not in call]
    assert names == ["launching CONTINUE", "unhealthy", "terminating CONTINUE"]


def test_a_spot_notice_takes_the_worker_out_through_the_group(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("user_data.agent.signals.NOTICE_SECONDS", 0.1)
    agent = start()
    agent.wait_for("worker_ready")
    stream = Stream(agent.host.url)
    time.sleep(0.3)
    world.spot = SpotNotice(action="terminate", time=datetime.now(UTC) + timedelta(seconds=120))
    assert stream.complete()
    agent.wait_for("drain_ended")
    agent.wait_for("hook_completed", 2)
    assert world.named("terminate")[0] < stream.ended < world.named("terminating CONTINUE")[0]


def test_a_spot_deadline_cuts_what_is_left_and_says_so(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("user_data.agent.signals.NOTICE_SECONDS", 0.1)
    agent = start()
    agent.wait_for("worker_ready")
    stream = Stream(agent.host.url, tokens=600)
    time.sleep(0.3)
    end = time.time() + drain.CUT_SECONDS + 2
    world.spot = SpotNotice(action="terminate", time=datetime.fromtimestamp(end, UTC))
    assert agent.wait_for("drain_cut")["in_flight"] == {"running": 1, "queued": 0}
    assert not stream.complete()
    agent.wait_for("hook_completed", 2)
    assert world.named("terminating CONTINUE")[0] < end


def test_sigterm_outside_a_drain_lets_the_engine_finish(start: Start, world: World) -> None:
    agent = start(probe_interval_seconds=0.05, probe_timeout_seconds=0.5)
    agent.wait_for("worker_ready")
    stream = Stream(agent.host.url)
    time.sleep(0.3)
    agent.stop.set()
    assert stream.complete()
    agent.wait_for("engine_stopped")
    time.sleep(0.3)
    assert not world.named("terminating CONTINUE")
    assert not agent.lines.named("engine_suspect")


def test_a_worker_that_returns_to_the_warm_pool_is_drained_and_prepared_again(start: Start, world: World) -> None:
    agent = start()
    agent.wait_for("hook_completed")
    stream = Stream(agent.host.url)
    time.sleep(0.3)
    world.target = "Warmed:Stopped"
    world.holding |= {"terminating", "launching"}
    assert stream.complete()
    agent.wait_for("warm_pool_prepared")
    names = [call for call, _ in world.calls if "beat" not in call]
    assert names == ["launching CONTINUE", "terminating CONTINUE", "launching CONTINUE"]
    assert world.named("terminating CONTINUE")[0] > stream.ended


def test_an_engine_that_dies_in_a_drain_is_told_and_holds_nothing_up(start: Start, world: World) -> None:
    agent = start()
    agent.wait_for("worker_ready")
    stream = Stream(agent.host.url)
    time.sleep(0.3)
    world.leave()
    agent.wait_for("drain_started")
    os.kill(agent.pid, signal.SIGKILL)
    assert not stream.complete()
    assert agent.wait_for("engine_ended_in_drain")["exit_code"] == -signal.SIGKILL
    agent.wait_for("hook_completed", 2)


def test_a_worker_told_to_leave_before_it_is_ready_leaves(start: Start, world: World, root: Path) -> None:
    (root / "opt/sglang/venv/bin/sglang").write_text("#!/bin/sh\nexec sleep 60\n")
    agent = start()
    agent.wait_for("engine_starting")
    world.holding.discard("launching")
    world.leave()
    agent.wait_for("hook_completed")
    assert world.named("terminating CONTINUE")
    assert not agent.lines.named("worker_ready")
