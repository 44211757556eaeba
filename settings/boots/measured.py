"""Measured beside predicted: what agents logged as `boot_phase`, and a prediction, phase by phase."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from settings.boots.phases import LOGGED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from settings.boots.phases import Boot


@dataclass(frozen=True)
class PhaseLogged:
    """One `boot_phase` of an agent: seconds from the kernel's start, the field `host_uptime_seconds`."""

    instance_id: str
    phase: str
    host_uptime_seconds: float


@dataclass(frozen=True)
class Compared:
    """One phase: seconds from the kernel's start as predicted, the median of those measured, and of how many boots."""

    phase: str
    predicted: float
    measured: float | None
    boots: int

    @property
    def error(self) -> float | None:
        """The prediction against what was measured, as a share of it; None without a measurement."""
        return self.predicted / self.measured - 1 if self.measured else None


def compare(boot: Boot, logged: Iterable[PhaseLogged]) -> tuple[Compared, ...]:
    """Put what was logged, in the order of time, beside a prediction; a phase that nobody logged has no measurement.

    Of each host the last boot counts, and of it each phase once: an engine that systemd starts again logs its phases
    anew, at a later uptime; a host that was stopped and started begins again at a lower one.
    """
    hosts: dict[str, dict[str, float]] = {}
    latest: dict[str, float] = {}
    for line in logged:
        if line.host_uptime_seconds < latest.get(line.instance_id, 0.0):
            hosts[line.instance_id] = {}
        latest[line.instance_id] = line.host_uptime_seconds
        hosts.setdefault(line.instance_id, {}).setdefault(line.phase, line.host_uptime_seconds)
    return tuple(_compared(boot, name, [host[name] for host in hosts.values() if name in host]) for name in LOGGED)


def _compared(boot: Boot, name: str, seconds: list[float]) -> Compared:
    return Compared(name, boot.host_uptime(name), median(seconds) if seconds else None, len(seconds))
