"""The requests of a rehearsal once more, through the simulator: does it say what happened?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from rehearsal.engine.config import build
from rehearsal.scenarios.pace import EMULATOR
from rehearsal.scenarios.record import Outcome, Record
from settings.model import Settings
from simulator.boot import Boot
from simulator.capacity import GroupPlan
from simulator.cloudwatch import Delays
from simulator.cluster import EngineProfile, Slo
from simulator.recipes import OurNumbers
from simulator.run import simulate
from simulator.scenario import router_of
from simulator.traces import Trace
from simulator.traces.chunk import plain
from simulator.workload import event_workload
from user_data.node_config import METRIC_INTERVAL_SECONDS

EMULATED = Delays(visible=METRIC_INTERVAL_SECONDS / 2, action=0.0)
"""The emulated CloudWatch judges a point when its period ends, and the group acts at once; AWS is slower."""

Change = tuple[float, int]
"""A new desired capacity: seconds after the trace's start, and to what."""


@dataclass(frozen=True)
class Seen:
    """What became of a trace, here or there: the share of its requests within the SLO, and how the group changed."""

    attainment: float
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Fleet:
    """A group as the rehearsal had it: bounds, the fleet at the start, seconds from a decision to a routed worker."""

    min_size: int
    max_size: int
    initial: int
    boot_seconds: float


def share_within(records: Sequence[Record], slo: Slo) -> float:
    """The share of streams whose first token came in time, and the others after it fast enough on average."""
    return sum(_within(record, slo) for record in records) / len(records)


def _within(record: Record, slo: Slo) -> bool:
    if record.outcome is not Outcome.COMPLETE or record.first_byte is None:
        return False
    between = (record.ended - record.first_byte) / max(record.completion_tokens - 1, 1)
    return record.first_byte - record.sent <= slo.ttft_seconds and between <= slo.itl_seconds


def trace_of(records: Sequence[Record], start: float) -> Trace:
    """What was sent, as a trace that begins at `start` (seconds since 1970)."""
    sent = sorted(records, key=lambda record: record.sent)
    chunk = plain(
        np.array([record.sent - start for record in sent]),
        np.array([record.prompt_tokens or 1 for record in sent], np.int64),
        np.array([record.expected_tokens for record in sent], np.int64),
    )
    return Trace("rehearsal", 0, lambda: iter([chunk]))


def simulated(  # noqa: PLR0913, PLR0917 - what makes a run
    records: Sequence[Record],
    start: float,
    seconds: float,
    settings: Settings,
    numbers: OurNumbers,
    fleet: Fleet,
    slo: Slo,
) -> Seen:
    """The same requests on the same engines behind the same policy; decisions are looked at for so many seconds."""
    workload = event_workload(
        trace_of(records, start), EngineProfile.of(build(dict(EMULATOR))), router_of(settings), slo
    )
    boot = Boot(fleet.boot_seconds, fleet.boot_seconds)
    plan = GroupPlan(fleet.min_size, fleet.max_size, fleet.initial, boot)
    run = simulate(workload.start(), plan, numbers.policy(), seconds, EMULATED, meter=workload.meter())
    return Seen(run.served.attainment, tuple(run.changes[1:]))


def worst_lag(there: Sequence[Change], here: Sequence[Change], until: float, tolerance: float) -> float:
    """The largest difference in time between changes that pair up in order; infinite when they go to other sizes.

    A change within `tolerance` seconds of the end may be missing on the other side, which looked no longer.
    """
    first, second = list(there), list(here)
    for longer, shorter in ((first, second), (second, first)):
        while len(longer) > len(shorter) and longer[-1][0] > until - tolerance:
            longer.pop()
    if [size for _, size in first] != [size for _, size in second]:
        return inf
    return max((abs(at - other) for (at, _), (other, _) in zip(first, second, strict=True)), default=0.0)
