"""The prompt load of a pool in the simulation: what the agents of its workers publish, on average."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from user_data.agent.prompt_load import LENGTH_SECONDS, Counted, Speeds, prompt_load

if TYPE_CHECKING:
    from rehearsal.engine.timing import Rates
    from simulator.cluster import Interval, Slo


def speeds_of(rates: Rates, slo: Slo) -> Speeds:
    """What the engine's timing model says of one request alone, and the SLO's inter-token time."""
    step = rates.step_seconds(1, 0)
    return Speeds(rates.prefill_tokens_per_second, step, slo.itl_seconds)


@dataclass(slots=True)
class LoadMeter:
    """Keeps the last steps, the latest first."""

    speeds: Speeds
    _counted: deque[Counted] = field(default_factory=deque)

    def read(self, interval: Interval) -> float | None:
        """The prompt load in percent after this step, as `prompt_load` says it."""
        seconds, computed = interval.end - interval.start, interval.prompt_tokens - interval.cached_tokens
        tokens = interval.output_tokens - interval.completed
        self._counted.appendleft(Counted(seconds, computed, interval.completed, computed, tokens))
        if len(self._counted) * seconds > LENGTH_SECONDS:
            self._counted.pop()
        return prompt_load(self._counted, interval.ready, self.speeds)
