"""From a trace file and an environment to something that can be simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from rehearsal.engine.config import EmulatorConfig
from settings.catalogue import catalogue
from settings.model import Settings
from settings.workers import WorkerPool
from simulator.boot import Boot, boot_of
from simulator.capacity import GroupPlan, WarmPool
from simulator.clairvoyant import peak_of
from simulator.cluster import EngineProfile, RouterProfile, Slo
from simulator.compare import Comparison
from simulator.recipes import OurNumbers
from simulator.results import Prices
from simulator.schedules import minimums
from simulator.traces import RateTrace, Trace, read
from simulator.workload import Workload, event_workload, fluid_workload

Mode = Literal["event", "fluid"]
FLUID_SECONDS = 60.0
PEAK_TRIES = 6
PEAK_TOLERANCE = 0.05


@dataclass(frozen=True)
class Wanted:
    """What to simulate; rates and tokens are factors, times seconds."""

    rate: float = 1.0
    tokens: float = 1.0
    mode: Mode | None = None
    """None: events for requests, fluid for rates."""
    seed: int = 0
    slo: Slo = field(default_factory=Slo)
    attainment: float = 0.95
    boot: Boot | None = None
    """None: what `simulator.boot` says of the pool."""
    starts: datetime | None = None
    """When the trace's first second is, with a time zone. None: schedules are left out."""


def engine_of(pool: WorkerPool) -> EngineProfile:
    """The emulator's default engine (a 32B model in 4 bits on L40S GPUs), spread over the GPUs of the pool's type."""
    return EngineProfile.of(EmulatorConfig(), catalogue().instances[pool.instance_type].gpu_count)


def plan_of(pool: WorkerPool, boot: Boot | None = None) -> GroupPlan:
    """The group that a pool's settings make, without its schedules."""
    warm = pool.warm_pool
    prepared = pool.max_size if warm.max_prepared is None else warm.max_prepared
    return GroupPlan(
        min_size=pool.min_size,
        max_size=pool.max_size,
        initial=pool.initial_size,
        boot=boot or boot_of(pool),
        drain_seconds=float(pool.lifecycle.drain_timeout_seconds),
        warm_pool=WarmPool(warm.min_size, prepared, warm.state == "running") if warm.enabled else None,
    )


def workload_of(trace: Trace | RateTrace, settings: Settings, wanted: Wanted) -> Workload:
    """A trace at the wanted rate in the wanted mode, before the first pool's engines."""
    pool = settings.workers[0]
    engine, router = engine_of(pool), router_of(settings)
    mode = wanted.mode or ("fluid" if isinstance(trace, RateTrace) else "event")
    if isinstance(trace, RateTrace):
        scaled = trace.scaled(wanted.rate, wanted.tokens)
        if mode == "fluid":
            return fluid_workload(scaled, engine, router, wanted.slo, wanted.attainment)
        return event_workload(scaled.arrivals(wanted.seed), engine, router, wanted.slo, wanted.attainment)
    requests = trace.scaled(wanted.rate, wanted.tokens, wanted.seed)
    if mode == "fluid":
        rates = RateTrace.of(requests, FLUID_SECONDS)
        return fluid_workload(rates, engine, router, wanted.slo, wanted.attainment)
    return event_workload(requests, engine, router, wanted.slo, wanted.attainment)


def router_of(settings: Settings) -> RouterProfile:
    """The router that the settings make."""
    router = settings.router
    return RouterProfile(
        balance_abs_threshold=router.balance_abs_threshold,
        balance_rel_threshold=router.balance_rel_threshold,
        max_concurrent_requests=router.max_concurrent_requests,
    )


def comparison_of(trace: Trace | RateTrace, settings: Settings, wanted: Wanted) -> Comparison:
    """Everything that it takes to compare policies for the first pool of a deployment."""
    pool = settings.workers[0]
    workload, plan = workload_of(trace, settings, wanted), plan_of(pool, wanted.boot)
    if wanted.starts and pool.scaling.schedules:
        least = minimums(pool.scaling.schedules, wanted.starts, workload.seconds, pool.min_size)
        plan = replace(plan, minimums=least)
    return Comparison(workload, plan, Prices.of(pool, settings.region), OurNumbers.of(pool))


def read_trace(path: Path) -> Trace | RateTrace:
    """The trace of a file, under the file's name. Raises settings.errors.SettingsError."""
    return read(path)


def rate_for(
    peak: int,
    trace: Trace | RateTrace,
    settings: Settings,
    wanted: Wanted,
    tell: Callable[[float], None] | None = None,
) -> float:
    """The rate at which the clairvoyant's largest fleet is about `peak` workers (to 5 % or one worker)."""
    plan = replace(plan_of(settings.workers[0], wanted.boot), max_size=2 * peak)
    rate, best = wanted.rate, (float("inf"), wanted.rate)
    for attempt in range(PEAK_TRIES):
        found = peak_of(workload_of(trace, settings, replace(wanted, rate=rate)), plan)
        best = min(best, (abs(found - peak), rate))
        if abs(found - peak) <= max(1.0, PEAK_TOLERANCE * peak):
            break
        rate = round(rate * peak / found, 3)
        if tell:
            tell((attempt + 1) / PEAK_TRIES)
    return best[1]
