"""What the two sides of the simulator agree on: a cluster that serves, and what is seen of it.

A `Cluster` is the router and its workers between two moments. `simulator.event.event_cluster` follows every request,
`simulator.fluid.fluid_cluster` only rates; the control side cannot tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Protocol

from rehearsal.engine.batch import Limits
from rehearsal.engine.config import EmulatorConfig
from rehearsal.engine.timing import Rates
from settings.router import RouterSettings
from simulator.histogram import Histogram

MAX_PREFILL_TOKENS = 16_384
"""SGLang's default of --max-prefill-tokens, as in rehearsal.engine.batch.Limits."""
CACHE_THRESHOLD = 0.3
"""smg's default of --cache-threshold: the share of a prompt that must match for its worker to be chosen by it."""
TREE_BLOCKS = 131_072
"""How many prompt blocks the router remembers (assumption): smg keeps 67,108,864 characters, which at four to the token
are 32,768 blocks of 512 tokens for each worker; one bound for all keeps memory flat, and is never reached by traces of
an hour."""


@dataclass(frozen=True, slots=True)
class Slo:
    """A request attains it when its time to first token and its mean inter-token time are both within."""

    ttft_seconds: float = 2.0
    itl_seconds: float = 0.060


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """One worker's engine: the rehearsal's timing model and its bounds, so that the two cannot drift apart."""

    rates: Rates = field(default_factory=Rates)
    max_total_tokens: int = field(default_factory=lambda: EmulatorConfig().total_tokens(None, 1))
    max_running: int = EmulatorConfig.max_running_requests
    max_queued: int | None = None
    context_length: int = EmulatorConfig.context_length
    max_prefill_tokens: int = MAX_PREFILL_TOKENS

    @classmethod
    def of(cls, config: EmulatorConfig, gpus: int = 1, mem_fraction_static: float | None = None) -> EngineProfile:
        """The engine that this emulator configuration stands for, spread over `gpus` GPUs. Raises ConfigError."""
        return cls(
            rates=config.rates.parallel(gpus),
            max_total_tokens=config.total_tokens(mem_fraction_static, gpus),
            max_running=config.max_running_requests,
            context_length=config.context_length,
        )

    def limits(self, block_tokens: int) -> Limits:
        """The bounds as rehearsal.engine.batch takes them, for blocks of the trace's size."""
        return Limits(
            self.max_running, self.max_queued, self.max_total_tokens, max(block_tokens, 1), self.max_prefill_tokens
        )

    def fits(self, prompt_tokens: int, output_tokens: int) -> bool:
        """Whether an empty engine could serve such a request at all."""
        return prompt_tokens + output_tokens <= min(self.max_total_tokens, self.context_length)


@dataclass(frozen=True, slots=True)
class RouterProfile:
    """smg with policy cache_aware, as the deployment sets it.

    When the busiest worker leads the idlest by more than `balance_abs_threshold` requests and by more than
    `balance_rel_threshold` times, the idlest gets the request; else the one with the longest known prefix, if more than
    `cache_threshold` of the prompt's blocks match; else the idlest. The lowest worker number wins a tie.
    """

    balance_abs_threshold: int = field(default_factory=lambda: RouterSettings().balance_abs_threshold)
    balance_rel_threshold: float = field(default_factory=lambda: RouterSettings().balance_rel_threshold)
    max_concurrent_requests: int = field(default_factory=lambda: RouterSettings().max_concurrent_requests)
    """In flight at most; more are refused (429)."""
    cache_threshold: float = CACHE_THRESHOLD
    patience_seconds: float = 0.0
    """How long a request waits while no worker is routable; smg answers 503 at once."""
    tree_blocks: int = TREE_BLOCKS


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened between two calls of `Cluster.advance`, and how things stand at its end."""

    start: float
    end: float
    arrivals: int = 0
    """Requests that came, refused ones included."""
    completed: int = 0
    refused: int = 0
    """Not served: no routable worker, router or engine queue full, or too long for any engine."""
    lost: int = 0
    """In flight on a worker that left."""
    in_flight: int = 0
    """Waiting or running on routable workers or waiting at the router."""
    queued: int = 0
    running: int = 0
    """Being prefilled or decoded, on routable workers."""
    ready: int = 0
    """Routable workers."""
    kv_usage_mean: float = 0.0
    kv_usage_max: float = 0.0
    """KV tokens reserved for running requests, of the memory, over routable workers at the end; 0..1."""
    prompt_tokens: int = 0
    """Of the requests admitted for prefill."""
    cached_tokens: int = 0
    output_tokens: int = 0
    """Of the requests completed."""
    ttft_p90: float = nan
    itl_p90: float = nan
    attained: int = 0
    """Requests completed within the SLO."""
    too_long: int = 0
    """Of `refused`, those that no engine could ever hold."""
    draining_in_flight: int = 0
    """On workers that drain; not in `in_flight`."""


@dataclass(frozen=True, slots=True)
class Served:
    """Totals since the trace's start; requests = completed + refused + lost + those in flight."""

    requests: int
    completed: int
    attained: int
    refused: int
    lost: int
    too_long: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    ttft: Histogram
    itl: Histogram
    e2e: Histogram

    @property
    def attainment(self) -> float:
        """Share of the requests within the SLO; those too long for any engine do not count, others not served do."""
        counted = self.requests - self.too_long
        return self.attained / counted if counted else nan

    @property
    def cache_hit_rate(self) -> float:
        """Share of the admitted prompt tokens that a prefix cache held."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else nan


class Cluster(Protocol):
    """The router and its workers, from the trace's start on."""

    def join(self) -> int:
        """Add a worker, routable from now on and with nothing in its cache; returns its number."""

    def drain(self, worker: int) -> None:
        """Send no new requests to it; what it has goes on."""

    def empty(self, worker: int) -> bool:
        """Whether it has nothing left."""

    def leave(self, worker: int) -> None:
        """It is gone; what it still had is lost."""

    def advance(self, until: float) -> Interval:
        """Serve up to `until`, in seconds since the trace's start, which never goes back."""

    @property
    def exhausted(self) -> bool:
        """No arrival is left and nothing is in flight."""

    def served(self) -> Served:
        """The totals so far."""
