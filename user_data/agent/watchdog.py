"""Has a running engine stopped working? Asks for one token every few seconds, from a thread of its own.

An engine that answers late is not hung: a long prompt or a full queue delays a token for minutes. So a token that does
not come counts only while the scheduler's counters stand still; an answer that is an error counts always.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, Protocol

from user_data.agent.occupancy import TIMEOUT_SECONDS, Occupancy, OccupancyError

if TYPE_CHECKING:
    from user_data.agent.log import Log
    from user_data.node_config import WatchdogConfig

BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""What SGLang answers when --max-queued-requests are waiting."""

Answer = Literal["generated", "silent", "error"]


@dataclass(frozen=True)
class Health:
    """What the watchdog thinks of the engine."""

    strikes: int = 0
    reason: str = ""
    progress: tuple[float, ...] | None = None


def judge(health: Health, answer: Answer, progress: tuple[float, ...] | None, reason: str) -> Health:
    """Return the new opinion.

    Args:
        health: the opinion so far.
        answer: what came of asking for a token.
        progress: the scheduler's counters now, None when the engine does not tell.
        reason: why no token came.
    """
    moved = progress is not None and progress != health.progress
    seen = progress if progress is not None else health.progress
    if answer == "generated" or (answer == "silent" and moved):
        return Health(progress=seen)
    return Health(health.strikes + 1, reason, seen)


def verdict_seconds(limits: WatchdogConfig) -> float:
    """Return the longest time from a hang to its verdict.

    The hang begins right after a good probe, and either the engine does not even tell its load (each probe then costs
    both timeouts), or it does and its last work before the hang makes the first silent probe one of progress.
    """
    mute = limits.strikes * (limits.probe_timeout_seconds + TIMEOUT_SECONDS)
    telling = (limits.strikes + 1) * max(limits.probe_timeout_seconds, limits.probe_interval_seconds)
    return limits.probe_interval_seconds + max(mute, telling)


class Prober(Protocol):
    """Asks the engine for a token; `readiness.Probe` is it."""

    reason: str
    status: int | None

    def generates(self, time_left: float) -> bool:
        """Return whether the engine has just generated a token."""


class Teller(Protocol):
    """Says what the engine has to do; `occupancy.EngineLoads` is it."""

    def occupancy(self) -> Occupancy:
        """Return what the engine has to do."""


class Watchdog:
    """Watches one engine; `verdict` says why it has to be ended, None while it need not be."""

    def __init__(self, probe: Prober, loads: Teller, limits: WatchdogConfig, log: Log) -> None:
        """`probe` and `loads` are used from the watchdog's thread only."""
        self._probe = probe
        self._loads = loads
        self._limits = limits
        self._log = log
        self._health = Health()
        self._ended = threading.Event()
        self.verdict: str | None = None

    def start(self) -> None:
        """Watch in a thread until `end`; a daemon, since a probe under way may take its whole time limit."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def end(self) -> None:
        """Stop judging, a probe under way included: the engine is told to end, and its silence is no fault any more."""
        self._ended.set()

    def step(self) -> Health:
        """Ask once."""
        answer = self._ask()
        health = judge(self._health, answer, self._progress(), self._probe.reason)
        if self._ended.is_set():
            return self._health
        if health.strikes and not self._health.strikes:
            self._log.warning("engine_suspect", reason=health.reason)
        if self._health.strikes and not health.strikes:
            self._log.info("engine_trusted", after=self._health.reason)
        if health.strikes >= self._limits.strikes:
            self.verdict = f"{health.strikes} generations in a row failed without progress (last: {health.reason})"
        self._health = health
        return health

    def _run(self) -> None:
        wait = self._limits.probe_interval_seconds
        while self.verdict is None and not self._ended.wait(wait):
            started = time.monotonic()
            self.step()
            wait = max(0.0, started + self._limits.probe_interval_seconds - time.monotonic())

    def _ask(self) -> Answer:
        if self._probe.generates(self._limits.probe_timeout_seconds):
            return "generated"
        return "silent" if self._probe.status is None or self._probe.status in BUSY else "error"

    def _progress(self) -> tuple[float, ...] | None:
        try:
            return self._loads.occupancy().progress
        except OccupancyError:
            return None  # judged as no progress; the probe's own reason is the one that is told
