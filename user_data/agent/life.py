"""A worker's life in its Auto Scaling group: be ready and say so, serve, drain, leave; or fail where the group sees it.

Every stage is re-entered after a restart of this program: what to do follows from the target state that the metadata
service tells and from `memory`, and a hook that is already completed is found out by completing it again.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from user_data.agent import drain as drains
from user_data.agent import worker
from user_data.agent.aws import AwsError, SecretFormatError
from user_data.agent.memory import Memory, give_up_reason, load_memory, patience, save_memory
from user_data.agent.occupancy import EngineLoads, Occupancy, OccupancyError
from user_data.agent.readiness import Probe
from user_data.agent.watchdog import Watchdog
from user_data.agent.worker import EngineFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from user_data.agent.drain import Drain
    from user_data.agent.group_calls import GroupCalls
    from user_data.agent.log import Log
    from user_data.agent.signals import Signals, Watch, Way
    from user_data.node_config import LifeCycleConfig

TICK_SECONDS = 0.5
"""From one look at the target state to the next: the worker has to know of its leaving about when discovery does."""

LOOK_TIMEOUT_SECONDS = 5.0
"""For the token that makes sure a look at the engine is not an old one."""

TAIL_BYTES = 8_000
STOP_PATIENCE_SECONDS = 15.0
"""For an engine without requests: SGLang 0.5.23 looks every 5 s whether it was told to end, then frees the GPU."""


@dataclass(frozen=True)
class Scene:
    """Everything that a life touches outside itself."""

    host: worker.Host
    config: LifeCycleConfig
    calls: GroupCalls
    watch: Watch
    stop: threading.Event
    log: Log


@dataclass
class Running:
    """An engine and the ways to ask it."""

    process: worker.Engine
    probe: Probe
    loads: EngineLoads
    guard: Watchdog

    def look(self, time_left: float) -> Occupancy | None:
        """Return what it has to do as of now, None when it does not say; `time_left` in seconds bounds the wait."""
        try:
            first = self.loads.occupancy()
            if not first.idle:
                return first
            # Nothing, it says: let it generate a token, and ask again. See `occupancy`: only then it is so now.
            return self.loads.occupancy() if self.probe.generates(min(time_left, LOOK_TIMEOUT_SECONDS)) else None
        except OccupancyError:
            return None  # never trusted as idle; an engine that stays silent is the watchdog's part


class Life:
    """One run of the agent in a worker's life."""

    def __init__(self, scene: Scene) -> None:
        """Read what earlier runs remembered."""
        self._scene = scene
        self._host, self._config, self._log = scene.host, scene.config, scene.log
        self._memory = load_memory(scene.log)

    def run(self) -> None:
        """Live until told to stop.

        Raises:
            EngineFailedError: the engine failed and is worth another start, which is systemd's part.
            AwsError: the API key cannot be read.
            SecretFormatError: the API key cannot be used.
            OSError: the engine is missing.
        """
        while not self._stopped():
            way = self._look().way
            if way == "leave":
                self._answer_terminating()
            elif self._memory.given_up is not None:
                self._ask_for_replacement()
            elif way == "warm":
                self._warm()
            else:
                self._serve()

    def _serve(self) -> None:
        with self._judged_failures(), self._engine() as running:
            if self._become_ready(running):
                self._enter_service()
                self._guarded(running)

    def _guarded(self, running: Running) -> None:
        running.guard.start()
        try:
            self._stay(running)
        finally:
            running.guard.end()

    def _warm(self) -> None:
        """First boot of a warm pool: run the engine once, so that weights and caches are on the disk, then end it."""
        prepared = False
        with self._judged_failures(), self._engine() as running:
            prepared = self._become_ready(running)
            if prepared:
                worker.end(running.process, self._log)  # before the hook: nothing is half written when the host stops
        if prepared:
            self._scene.calls.complete(self._config.launching_hook, "CONTINUE")
            self._remember(Memory())  # the later start is a launch of its own
            self._log.info("warm_pool_prepared", target=self._scene.watch.signals.target)
            self._rest("warm")

    def _become_ready(self, running: Running) -> bool:
        """Wait for a generation; False when the worker leaves or stops instead."""
        with self._launch_heartbeats():
            ready = self._await_generation(running)
        if ready:
            host = self._host
            self._log.info("worker_ready", url=host.url, model=host.worker.served_model_name, pid=running.process.pid)
        return ready

    def _enter_service(self) -> None:
        if not self._memory.in_service:
            self._scene.calls.complete(self._config.launching_hook, "CONTINUE")
        self._remember(self._memory.ready())

    def _await_generation(self, running: Running) -> bool:
        way = self._scene.watch.signals.way
        wait = patience(self._memory, self._config.watchdog, self._host.worker.ready_timeout_seconds)
        deadline = time.monotonic() + wait.left(_since_boot())
        while not self._stopped() and self._look().way == way:
            self._must_run(running, "before it was ready")
            left = deadline - time.monotonic()
            if left <= 0:
                raise EngineFailedError(
                    f"the engine did not generate within {wait.rule} (last: {running.probe.reason})"
                )
            if running.probe.generates(left):
                return True
            self._tick()
        return False

    def _stay(self, running: Running) -> None:
        while not self._stopped():
            self._must_run(running, "in service")
            signals = self._look()
            if signals.way != "serve" or signals.spot:
                self._drain(running, signals)
                return
            self._tick()
        running.guard.end()
        worker.end(running.process, self._log)

    def _must_run(self, running: Running, when: str) -> None:
        verdict = running.guard.verdict
        if verdict is not None:
            running.process.kill()
            raise EngineFailedError(f"the engine hung {when} and was killed: {verdict}")
        code = running.process.exit_code()
        if code is not None:
            raise EngineFailedError(f"the engine ended with {code} {when}: {running.process.last_words()}")

    def _drain(self, running: Running, signals: Signals) -> None:
        started = time.monotonic()
        drain = drains.Drain(drains.hook_deadline(started, self._config.heartbeat_seconds))
        self._log.info("drain_started", target=signals.target, spot=signals.spot is not None)
        with self._heartbeats(self._config.terminating_hook):
            self._leave_routing(signals)
            self._empty(running, drain)
        running.guard.end()
        if self._stopped():
            worker.end(running.process, self._log)
            return
        running.process.terminate()  # SGLang looks every 5 s only, and has nothing to finish: the hook does not wait
        self._log.info("drain_ended", seconds=round(time.monotonic() - started, 3), pid=running.process.pid)
        self._scene.calls.complete(self._config.terminating_hook, "CONTINUE")
        running.process.close(STOP_PATIENCE_SECONDS)
        self._remember(Memory())  # a host that goes back to the warm pool begins anew
        way = self._look().way
        if way != "warm":
            self._rest(way)  # EC2 ends this host; another engine would be for nobody

    def _leave_routing(self, signals: Signals) -> None:
        """Have discovery drop this worker: it drops what the group takes out, so a spot notice needs an order for that.

        TerminateInstanceInAutoScalingGroup moves the instance to Terminating:Wait, where the terminating hook holds it
        while requests end, and launches its substitute at once; waiting for EC2 to take it would leave it in routing
        for the whole two minutes, and SetInstanceHealth would do the same later (at the next health check).
        """
        if signals.way == "serve":
            threading.Thread(target=self._scene.calls.terminate, name="terminate", daemon=True).start()

    def _empty(self, running: Running, drain: Drain) -> None:
        """Wait until nothing is in flight, or until no time is left: then say what is lost, and end the engine."""
        while not self._stopped():
            drain = self._updated(drain)
            if running.guard.verdict is not None:
                running.process.kill()
            found = running.look(drain.deadline - drains.CUT_SECONDS - time.monotonic())
            now = time.monotonic()
            drain = drains.looked(drain, found, now, self._config.settle_seconds)
            step = drains.plan(drain, now, engine_runs=running.process.exit_code() is None)
            if step == "cut":
                self._cut(running, found)
            if step == "finish":
                self._tell_exit(running)
            if step != "wait":
                return
            self._tick()

    def _tell_exit(self, running: Running) -> None:
        code = running.process.exit_code()
        if code is not None:
            self._log.error("engine_ended_in_drain", exit_code=code, engine_log=running.process.last_words())

    def _updated(self, drain: Drain) -> Drain:
        """Take in what the signals say now: a spot deadline, and that the group has begun to take the instance out."""
        now = time.monotonic()
        signals = self._look()
        if signals.spot:
            left = (signals.spot.time - datetime.now(UTC)).total_seconds()
            drain = replace(drain, deadline=min(drain.deadline, now + left))
        if drain.unrouted_since is None and signals.way != "serve":
            drain = replace(drain, unrouted_since=now)
        return drain

    def _cut(self, running: Running, found: Occupancy | None) -> None:
        # Killed, not left to the power-off: its clients then see the connection close, and the router sends requests
        # that have not yet got a byte to another worker at once.
        counts = {"running": found.running, "queued": found.queued} if found else None
        self._log.error("drain_cut", reason="the deadline is here", in_flight=counts, pid=running.process.pid)
        running.process.kill()

    @contextmanager
    def _judged_failures(self) -> Iterator[None]:
        """Let a failure through, for another start by systemd, until the host has to give up."""
        try:
            yield
        except EngineFailedError as error:
            self._remember(self._memory.failed(_since_boot(), self._config.watchdog.restart_window_seconds))
            if not self._gives_up(error):
                raise
        except (AwsError, SecretFormatError, OSError) as error:
            # Not the engine's failure (AWS may be away): it counts for nothing but the time that it takes.
            if not self._gives_up(error):
                raise

    def _gives_up(self, error: Exception) -> bool:
        limits, timeout = self._config.watchdog, self._host.worker.ready_timeout_seconds
        now = _since_boot()
        reason = give_up_reason(self._memory, now, limits, timeout)
        if reason is None:
            return False
        event = "worker_unhealthy" if self._memory.in_service else "worker_not_ready"
        tail = worker.log_end(TAIL_BYTES).splitlines()
        failures = len(self._memory.failures)
        self._log.error(event, reason=reason, last_failure=str(error), engine_log=tail, failures=failures)
        self._remember(self._memory.gave_up(reason))
        return True

    def _ask_for_replacement(self) -> None:
        calls = self._scene.calls
        self._log.warning("replacement_asked", reason=self._memory.given_up, in_service=self._memory.in_service)
        abandoned = not self._memory.in_service and calls.complete(self._config.launching_hook, "ABANDON")
        if not abandoned and not self._stopped():
            calls.set_unhealthy()
        self._rest(self._scene.watch.signals.way)

    def _answer_terminating(self) -> None:
        """No engine runs: complete the terminating hook and wait for the end, without starting another engine."""
        self._scene.calls.complete(self._config.terminating_hook, "CONTINUE")
        self._rest("leave")

    def _rest(self, way: Way) -> None:
        """Wait until Auto Scaling takes this instance another way, or ends it."""
        while not self._stopped() and self._look().way == way:
            self._tick()

    def _heartbeats(self, hook: str) -> AbstractContextManager[None]:
        return self._scene.calls.beating(hook, self._config.heartbeat_seconds)

    def _launch_heartbeats(self) -> AbstractContextManager[None]:
        return nullcontext() if self._memory.in_service else self._heartbeats(self._config.launching_hook)

    @contextmanager
    def _engine(self) -> Iterator[Running]:
        self._remember(self._memory.started(_since_boot()))
        phases = worker.Phases(self._log)
        process, key = worker.start(self._host, phases, self._log)
        url = self._host.url
        probe, loads = Probe(url, key, phases.reached), EngineLoads(url, key)
        # The watchdog has connections of its own: it asks from another thread.
        guard = Watchdog(Probe(url, key, lambda _phase: None), EngineLoads(url, key), self._config.watchdog, self._log)
        try:
            yield Running(process, probe, loads, guard)
        finally:
            probe.close()
            loads.close()
            process.terminate()
            process.close(worker.KILL_AFTER_SECONDS)

    def _remember(self, memory: Memory) -> None:
        if memory != self._memory:
            save_memory(memory)
        self._memory = memory

    def _look(self) -> Signals:
        return self._scene.watch.look(time.monotonic())

    def _stopped(self) -> bool:
        return self._scene.stop.is_set()

    def _tick(self) -> None:
        self._scene.stop.wait(TICK_SECONDS)


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
