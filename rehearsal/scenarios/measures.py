"""Figures over records: who served what, how soon, and how much of it from a prefix cache.

Records exist only of requests that have ended, so a figure of a window is whole once the load has finished.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from rehearsal.scenarios.record import OK, Record


def sent_between(records: Iterable[Record], since: float, until: float) -> tuple[Record, ...]:
    """The records of the requests sent from `since` up to, not including, `until` (seconds since 1970)."""
    return tuple(record for record in records if since <= record.sent < until)


def share_by_worker(records: Iterable[Record]) -> Mapping[str, float]:
    """Which part of the requests each worker was given; those of which no worker is known are not counted."""
    counts = Counter(record.worker for record in records if record.worker is not None)
    return {worker: count / counts.total() for worker, count in sorted(counts.items())}


def prefix_hit_rate(records: Iterable[Record]) -> float | None:
    """Prompt tokens found in a prefix cache / prompt tokens; None when no answer reports both."""
    reported = [(r.cached_tokens, r.prompt_tokens) for r in records]
    pairs = [(cached, prompt) for cached, prompt in reported if cached is not None and prompt is not None]
    prompts = sum(prompt for _, prompt in pairs)
    return sum(cached for cached, _ in pairs) / prompts if prompts else None


def first_served(records: Iterable[Record], worker: str, after: float) -> Record | None:
    """The first request sent after a time that a worker has begun to answer with status 200."""
    served = [r for r in records if r.worker == worker and r.sent >= after and r.first_byte and r.status == OK]
    return min(served, key=lambda record: record.sent, default=None)


def last_sent(records: Iterable[Record], worker: str, before: float) -> float | None:
    """When the last request before a time was sent that a worker was given: its end in routing."""
    return max((r.sent for r in records if r.worker == worker and r.sent < before), default=None)


def last_end(records: Iterable[Record], worker: str, sent_before: float) -> float | None:
    """When the last of the requests ended that were sent before a time and given to a worker."""
    return max((r.ended for r in records if r.worker == worker and r.sent < sent_before), default=None)


def streaming_from(records: Iterable[Record], worker: str, at: float) -> tuple[Record, ...]:
    """The streams that were in flight on a worker at a time and had, or still got, text from it.

    When the worker dies then, these cannot be saved: what their clients have read cannot be unsent.
    """
    streams = (r for r in records if r.streamed and r.worker == worker and r.first_byte is not None)
    return tuple(record for record in streams if record.sent <= at <= record.ended)


def first_byte_percentiles(records: Iterable[Record], percents: Sequence[int] = (50, 90, 99)) -> Mapping[int, float]:
    """Seconds from sending to the first text of streams, by nearest rank; empty when no stream has begun."""
    waits = sorted(r.first_byte - r.sent for r in records if r.streamed and r.first_byte is not None)
    return {percent: waits[max(ceil(len(waits) * percent / 100), 1) - 1] for percent in percents} if waits else {}
