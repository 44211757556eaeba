"""What a scenario is: it plays on a stage while a load runs, and afterwards judges what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rehearsal.engine.ledger import Entry
from rehearsal.scenarios.checks import Check
from rehearsal.scenarios.record import Record
from rehearsal.scenarios.stage import Stage
from rehearsal.scenarios.timeline import Sample


@dataclass(frozen=True)
class Evidence:
    """What is known once everything has ended."""

    records: tuple[Record, ...]
    samples: tuple[Sample, ...]
    concurrency: int
    """Requests that were to be in flight."""
    entries: tuple[Entry, ...] = ()
    """What the engines wrote down; a real one writes nothing."""


def nothing_explained(_record: Record) -> str | None:
    """No loss is to be expected."""
    return None


@dataclass(frozen=True)
class Played:
    """What a play leaves: how to judge it, and which losses it must have caused (the reason, or None)."""

    checks: Callable[[Evidence], Iterable[Check]]
    explain: Callable[[Record], str | None] = nothing_explained


@dataclass(frozen=True)
class Scenario:
    """A page of code that does something to a fleet under load."""

    name: str
    title: str
    play: Callable[[Stage], Played]
    real_engine: bool = False
    """Whether it is part of `--engine sglang --all`, too."""
    stream_seconds: tuple[float, float] | None = None
    """Lengths of streams where the pace's longest is shorter."""
    load_share: float = 1.0
    """Part of the pace's requests in flight that the load begins with."""


@dataclass(frozen=True)
class Moment:
    """When an order was given and when it had been carried out: what it did happened in between."""

    given: float
    done: float


def ordered(order: Callable[[], None]) -> Moment:
    """Give an order, and say when."""
    given = time.time()
    order()
    return Moment(given, time.time())


def cut_on(worker: str, cut: Moment, reason: str) -> Callable[[Record], str | None]:
    """Explains the requests that had got bytes from a worker before it was cut off."""

    def explain(record: Record) -> str | None:
        had_bytes = record.first_byte is not None and record.first_byte <= cut.done
        return reason if record.worker == worker and had_bytes and record.ended >= cut.given else None

    return explain
