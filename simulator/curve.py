"""What one engine of a fleet does under a steady load, in closed form from the same rates as the emulator's.

Requests come to each engine at L a second, prompts of mean P and answers of mean O tokens, both log-normal with
standard deviation over mean V. Prefill goes first, so decode has the time that it leaves:

- A prefill batch gathers who comes during a decode step (length s) or during the batch before it (mean length D). Of
  each kind there are (1 - busy) / s and L / g a second, g the mean size of a batch; a batch follows when somebody came.
  That gives g; busy = L x D / g is the share of time spent on prefill.
- A step with b sequences takes s = step + b x (sequence + context x context token); a running sequence is met with the
  chance of its length, so its context is P + O x (1 + V**2) / 2. By Little's law b = L x (O - 1) x inter-token time.
- Inter-token time: s / (1 - busy'). For each of five answer lengths the prefills that fall into an answer are Poisson;
  without one it is s, with some it is normal (assumption), with the spread of their time. In a fleet busy' < busy: the
  router sends the next prompt to an idler engine, so a sequence sees the prefill of the n others, not its own
  (busy x n / (n + 1)).
- Time to first token: one's own prefill, which has the spread of the prompts, and an exponential wait (assumption) for
  the step or batch under way and those who share one's batch. A fleet avoids busy engines: the wait for prefill is
  multiplied by 0.6 x busy (fitted to the event mode at 6 to 8 engines and three kinds of load; 1 for a single engine,
  in between it goes with the inverse square of their number).
- More than MAX_RUNNING sequences, or more than the KV memory holds, wait; then the engine is saturated.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from math import log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rehearsal.engine.timing import Rates
from simulator.cluster import EngineProfile, Slo

Array = NDArray[np.float64]
POINTS = 120
ROUNDS = 30
BUSIEST = 0.995
FLEET_WAIT = 0.6
LARGE_FLEET = 5
"""From here on the number of engines makes no difference to one of them (1 / 5**2 = 4 %)."""
NORMAL_FIFTHS = np.array([NormalDist().inv_cdf((2 * i + 1) / 10) for i in range(5)])
"""Medians of equal parts of a normal distribution."""
NORMAL_FORTIETHS = np.array([NormalDist().inv_cdf((2 * i + 1) / 80) for i in range(40)])


@dataclass(frozen=True)
class Load:
    """Mean sizes in tokens, their standard deviation over mean, the share of the prompt that caches hold; engines."""

    prompt: float
    output: float
    variation: float
    cached: float = 0.0
    engines: int = LARGE_FLEET

    @property
    def computed(self) -> float:
        """Prompt tokens that no cache holds."""
        return self.prompt * (1 - self.cached)

    @property
    def width(self) -> float:
        """Standard deviation of the logarithm of a size."""
        return sqrt(log(1 + self.variation**2))

    def sizes(self, mean: float, normal: Array) -> Array:
        """Sizes of this mean at these points of a normal distribution."""
        return np.asarray(mean * np.exp(self.width * normal - self.width**2 / 2))


@dataclass(frozen=True)
class Curve:
    """One engine at loads from none to saturation; all lists have the same length, and `in_flight` rises."""

    own: Array
    """Prefill times of a request by itself, at equal parts of their distribution, s."""
    in_flight: list[float]
    per_second: list[float]
    wait: list[float]
    """Mean time to first token besides one's own prefill, s."""
    ttft_p90: list[float]
    ttft_within: list[float]
    """Share of the requests whose time to first token is within the SLO."""
    itl: list[float]
    itl_width: list[float]
    """Standard deviation of the requests' inter-token times, s."""
    itl_within: list[float]
    kv_tokens: list[float]
    """Reserved for running requests."""


@lru_cache(maxsize=8192)
def curve(engine: EngineProfile, load: Load, slo: Slo) -> Curve:
    """The engine's curve for this load."""
    rates = engine.rates
    tokens = load.computed + load.output * (1 + load.variation**2)
    state = _steady(rates, load, min(engine.max_running, engine.max_total_tokens / tokens))
    own = rates.prefill_batch_seconds + load.sizes(load.computed, NORMAL_FORTIETHS) / rates.prefill_tokens_per_second
    ttft = state.wait + rates.prefill_batch_seconds + _compute(rates, load)
    reserved = state.batch * tokens + state.busy * state.gathered * (load.computed + load.output)
    within, width = _inter_token(state, load, slo.itl_seconds)
    return Curve(
        own=own,
        in_flight=np.maximum.accumulate(state.per_second * ttft + state.batch).tolist(),
        per_second=state.per_second.tolist(),
        wait=state.wait.tolist(),
        ttft_p90=_ttft_p90(own, state.wait).tolist(),
        ttft_within=ttft_within(own, state.wait, slo.ttft_seconds).tolist(),
        itl=state.itl.tolist(),
        itl_width=width.tolist(),
        itl_within=within.tolist(),
        kv_tokens=reserved.tolist(),
    )


def ttft_within(own: Array, wait: Array, limit: float | Array) -> Array:
    """The chance of a first token within `limit` for these prefill times, after exponential waits of these means."""
    left = (np.asarray(limit) - own[:, None]) / np.maximum(wait, 1e-9)
    return np.asarray(np.where(left > 0, -np.expm1(-np.maximum(left, 0)), 0.0).mean(0))


def _ttft_p90(own: Array, wait: Array) -> Array:
    low, high = np.zeros_like(wait), own[-1] + 10 * wait
    for _ in range(14):
        middle = (low + high) / 2
        enough = ttft_within(own, wait, middle) >= 0.9  # noqa: PLR2004
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high)


@dataclass(frozen=True)
class _State:
    """At each load: times in seconds, sizes as means."""

    per_second: Array
    step: Array
    itl: Array
    busy: Array
    batch: Array
    gathered: Array
    prefill: Array
    prefill_met: Array
    wait: Array


def _steady(rates: Rates, load: Load, most: float) -> _State:
    """The state at loads up to saturation, denser towards it."""
    ceiling = 1 / (_compute(rates, load) + max(load.output - 1, 0) * _per_sequence(rates, load) + 1e-9)
    share = np.linspace(0, 1, POINTS, endpoint=False)
    per_second = ceiling * (1 - (1 - share) ** 2)
    per_second[0] = ceiling * 1e-4
    state = _fixed_point(rates, load, per_second)
    saturated = np.flatnonzero((state.busy > BUSIEST) | (state.batch > most))
    end = max(int(saturated[0]) if len(saturated) else POINTS, 2)
    return _State(*(getattr(state, item.name)[:end] for item in fields(state)))


def _compute(rates: Rates, load: Load) -> float:
    return load.computed / rates.prefill_tokens_per_second


def _per_sequence(rates: Rates, load: Load) -> float:
    """How much longer a decode step takes for each sequence."""
    context = load.prompt + load.output * (1 + load.variation**2) / 2
    return rates.decode_sequence_seconds + context * rates.decode_context_token_seconds


def _fixed_point(rates: Rates, load: Load, per_second: Array) -> _State:
    compute, per_sequence = _compute(rates, load), _per_sequence(rates, load)
    gathered, batch = np.ones_like(per_second), np.zeros_like(per_second)
    alone = 1 - 1 / load.engines
    for _ in range(ROUNDS):
        prefill = rates.prefill_batch_seconds + gathered * compute
        busy = np.minimum(per_second * prefill / gathered, 0.999)
        seen = busy * (1 - alone / (1 + batch + busy))
        demand = per_second * max(load.output - 1, 0) / (1 - seen)
        room = np.maximum(1 - demand * per_sequence, 1e-7)
        batch = np.minimum(demand * rates.decode_step_seconds / room, 1e6)
        step = rates.decode_step_seconds + batch * per_sequence
        quiet = (1 - busy) * -np.expm1(-per_second * step) / (per_second * step)
        wanted = np.clip(np.exp(-per_second * prefill) / quiet, 1.0, 1e3)
        gathered = (gathered + wanted) / 2
    met = prefill + compute**2 * (gathered * load.variation**2 + gathered - 1) / prefill
    wait = _wait(per_second, (step, busy, batch, met), load, compute)
    return _State(per_second, step, step / (1 - seen), busy, batch, gathered, prefill, met, wait)


def _wait(per_second: Array, state: tuple[Array, Array, Array, Array], load: Load, compute: float) -> Array:
    """Mean time to first token besides one's own prefill."""
    step, busy, batch, met = state
    lone = load.engines**-2 if load.engines < LARGE_FLEET else 0.0
    avoided = lone + (1 - lone) * FLEET_WAIT * busy
    decoding = (1 - busy) * np.minimum(batch, 1) * step * (0.5 + compute * per_second)
    return np.asarray(decoding + avoided * busy * met * (0.5 + compute * per_second))


def _inter_token(state: _State, load: Load, limit: float) -> tuple[Array, Array]:
    """Share of the requests within the limit, and the standard deviation over all."""
    lengths = np.maximum(load.sizes(load.output, NORMAL_FIFTHS), 1.0)[None, :]
    prefill, step, itl = state.prefill[:, None], state.step[:, None], state.itl[:, None]
    # Prefills during an answer, so many that they explain the mean.
    prefills = np.maximum((itl - step) * lengths / prefill, 1e-9)
    none = np.exp(-prefills)
    some = prefills / -np.expm1(-prefills)
    mean = step + some * prefill / lengths
    spread = np.sqrt(some * prefill * state.prefill_met[:, None]) / lengths
    # The normal distribution through the logistic one, right to 0.01: numpy has no error function.
    reached = 1 / (1 + np.exp(-np.clip(1.702 * (limit - mean) / spread, -50, 50)))
    within = none * (step <= limit) + (1 - none) * reached
    width = np.sqrt(prefills * prefill * state.prefill_met[:, None]) / lengths
    return within.mean(1), np.asarray(width.mean(1))
