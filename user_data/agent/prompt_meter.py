"""A worker's prompt load, from one reading of its engine to the next. No call is made, no clock is read."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from user_data.agent.pool_metrics import MAX_GAP_SECONDS, PROBE_TOKENS_PER_SECOND
from user_data.agent.prompt_load import LENGTH_SECONDS, Counted, Speeds, prompt_load
from user_data.node_config import METRIC_INTERVAL_SECONDS

if TYPE_CHECKING:
    from user_data.agent.engine_page import EngineReading


class PromptMeter:
    """Remembers what the engine did lately. What happened in a gap of more than MAX_GAP_SECONDS is not counted."""

    def __init__(self, speeds: Speeds) -> None:
        """Nothing is known yet."""
        self._speeds = speeds
        self._last: tuple[float, EngineReading] | None = None
        self._counted: deque[Counted] = deque(maxlen=round(LENGTH_SECONDS / METRIC_INTERVAL_SECONDS))

    def read(self, at: float, reading: EngineReading) -> float | None:
        """Return the load in percent after a reading made at `at` (seconds); None before there are two."""
        before, self._last = self._last, (at, reading)
        if before is None or not 0 < at - before[0] <= MAX_GAP_SECONDS:
            return None
        self._counted.appendleft(_counted(before[1], reading, at - before[0]))
        return prompt_load(self._counted, 1, self._speeds)


def _counted(old: EngineReading, new: EngineReading, seconds: float) -> Counted:
    before, now = _counters(old), _counters(new)
    if now.computed < before.computed:  # restarted: then none of its counters goes on
        before = _Counters(0.0, 0.0, 0.0, 0.0, 0.0)
    computed, cached, answers, prompts, tokens = (max(b - a, 0.0) for a, b in zip(before, now, strict=True))
    missed = computed / (computed + cached) if computed + cached else 1.0
    probes = computed < PROBE_TOKENS_PER_SECOND * seconds
    return Counted(seconds, 0.0 if probes else computed, answers, prompts * missed, max(tokens - answers, 0.0))


class _Counters(NamedTuple):
    """What an engine counts since its start."""

    computed: float
    cached: float
    answers: float
    prompts: float
    tokens: float


def _counters(reading: EngineReading) -> _Counters:
    return _Counters(
        reading.computed_tokens,
        reading.cached_tokens,
        reading.answers,
        reading.answered_prompt_tokens,
        reading.answer_tokens,
    )
