"""Every metric of each pool, from two readings of the router and of the engines. No call is made, no clock is read.

Rates, errors, latencies and cache hits are what happened between two readings. They are not published before there are
two, nor when the last one is more than MAX_GAP_SECONDS old: what happened in an outage is no value of one interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from user_data import metrics
from user_data.agent.datum import Value, datum, dimension_values
from user_data.agent.distribution import bucket_increase, distribution, increase, increases
from user_data.agent.load import PoolLoad, loads
from user_data.agent.router_page import UNLISTED
from user_data.node_config import METRIC_INTERVAL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

    from user_data.agent.aws import FleetView
    from user_data.agent.engine_page import EngineReading
    from user_data.agent.prometheus import Buckets
    from user_data.agent.router_page import RouterReading

MAX_GAP_SECONDS = 3.5 * METRIC_INTERVAL_SECONDS
"""Up to three readings in a row may be missing."""

PROBE_TOKENS_PER_SECOND = 10.0
"""An engine that reads fewer prompt tokens than these has only been probed, which says nothing of its cache: once a
second by the router (1 token), every 2 s by the watchdog (2 tokens), and something to spare."""

Read = TypeVar("Read")


@dataclass(frozen=True)
class Stamped(Generic[Read]):
    """A reading and when it was made (seconds on a clock that never goes back)."""

    at: float
    reading: Read

    def before(self, now: float) -> Read | None:
        """Return the reading if it is the one before `now`, None when it is too old to be."""
        return self.reading if 0 < now - self.at <= MAX_GAP_SECONDS else None


@dataclass(frozen=True)
class History:
    """The last reading of the router and of each engine, by URL."""

    router: Stamped[RouterReading] | None = None
    engines: Mapping[str, Stamped[EngineReading]] = field(default_factory=dict)


@dataclass(frozen=True)
class Now:
    """What router and engines say now; an engine that did not answer, or not usefully, is not there."""

    at: float
    router: RouterReading
    engines: Mapping[str, EngineReading]


@dataclass(frozen=True)
class PoolReading:
    """One pool's values; None: nothing to say at the moment."""

    load: PoolLoad
    values: Mapping[metrics.Metric, Value]


@dataclass(frozen=True)
class _Flow:
    """What came in and failed since the last reading, by pool; `seconds` since then."""

    seconds: float
    requests: Mapping[str, float]
    errors: Mapping[str, float]


def remember(history: History, now: Now, urls: Iterable[str]) -> History:
    """Return the history for the next reading: engines that did not answer keep their last one, gone ones are gone."""
    fresh = {url: Stamped(now.at, reading) for url, reading in now.engines.items()}
    known = {**history.engines, **fresh}
    return History(Stamped(now.at, now.router), {url: known[url] for url in urls if url in known})


def pool_readings(history: History, now: Now, view: FleetView) -> tuple[PoolReading, ...]:
    """Return the values of every pool of `view`, also of one without workers."""
    measured = loads(now.router.samples, view.workers, view.pools)
    flow = _flow(history, now, view, {load.pool for load in measured if not load.in_service})
    return tuple(_pool_reading(load, history, now, view, flow) for load in measured)


def pool_data(readings: Iterable[PoolReading], deployment: str, now: datetime) -> list[MetricDatumTypeDef]:
    """Return what PutMetricData takes."""
    return [
        datum(metric, value, dimension_values(deployment, reading.load.pool), now)
        for reading in readings
        for metric, value in reading.values.items()
    ]


def _pool_reading(load: PoolLoad, history: History, now: Now, view: FleetView, flow: _Flow | None) -> PoolReading:
    urls = [worker.url for worker in view.in_service if worker.pool == load.pool and worker.url]
    values: dict[metrics.Metric, Value | None] = {
        metrics.IN_FLIGHT: load.active,
        metrics.QUEUED: _queued(urls, now),
        metrics.READY_WORKERS: float(load.ready),
        metrics.LOAD: load.per_worker,
        **_rates(load.pool, flow),
        **_of_engines(urls, history, now),
    }
    return PoolReading(load, {metric: value for metric, value in values.items() if value is not None})


def _queued(urls: list[str], now: Now) -> float | None:
    told = [now.engines[url].queued for url in urls if url in now.engines]
    return sum(told) if told or not urls else None  # engines that all stay silent say nothing, least of all 0


def _rates(pool: str, flow: _Flow | None) -> dict[metrics.Metric, Value | None]:
    if flow is None:
        return {}
    requests, errors = flow.requests[pool], flow.errors[pool]
    # Answers come later than their requests, so that an interval may have more errors than requests.
    share = 100 * errors / max(errors, requests) if errors else 0.0
    return {metrics.REQUEST_RATE: requests / flow.seconds, metrics.ERROR_RATE: share}


def _flow(history: History, now: Now, view: FleetView, empty: set[str]) -> _Flow | None:
    before = history.router.before(now.at) if history.router else None
    if before is None or history.router is None:
        return None
    grown = increases(before.requests, now.router.requests)
    sent = increases(before.sent, now.router.sent)
    requests = {pool: grown.get(UNLISTED, 0.0) if pool in empty else 0.0 for pool in view.pools}
    errors = dict.fromkeys(view.pools, 0.0)
    failed = increases(before.errors, now.router.errors)
    for model in set(view.models.values()):
        shares = _shares(model, sent, view)
        for pool, share in shares.items():
            requests[pool] += share * grown.get(model, 0.0)
            errors[pool] += share * failed.get(model, 0.0)
    return _Flow(now.at - history.router.at, requests, _all_errors(errors, requests, before, now))


def _shares(model: str, sent: Mapping[str, float], view: FleetView) -> dict[str, float]:
    """Pools of one model share its requests as the router shared its sends; evenly, if it sent none."""
    pools = [pool for pool in view.pools if view.models.get(pool) == model]
    by_pool = dict.fromkeys(pools, 0.0)
    for worker in view.workers:
        if worker.pool in by_pool and worker.url:
            by_pool[worker.pool] += sent.get(worker.url, 0.0)
    return _normalised(by_pool)


def _all_errors(
    errors: Mapping[str, float], requests: Mapping[str, float], before: RouterReading, now: Now
) -> dict[str, float]:
    """Errors whose model the router does not tell go to all pools, by what came in for each."""
    rest = max(0.0, increase(before.failed, now.router.failed) - sum(errors.values()))
    shares = _normalised(requests)
    return {pool: count + rest * shares[pool] for pool, count in errors.items()}


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    whole = sum(weights.values())
    return {key: weight / whole if whole else 1 / len(weights) for key, weight in weights.items()}


@dataclass(frozen=True)
class _Pair:
    """Two readings of one engine, and the seconds between them."""

    old: EngineReading
    new: EngineReading
    seconds: float


def _pairs(urls: list[str], history: History, now: Now) -> list[_Pair]:
    return [
        _Pair(old, now.engines[url], now.at - history.engines[url].at)
        for url in urls
        if url in now.engines and url in history.engines and (old := history.engines[url].before(now.at))
    ]


def _of_engines(urls: list[str], history: History, now: Now) -> dict[metrics.Metric, Value | None]:
    pairs = _pairs(urls, history, now)
    return {
        metrics.TIME_TO_FIRST_TOKEN: _latency(pairs, lambda reading: reading.ttft),
        metrics.INTER_TOKEN_LATENCY: _latency(pairs, lambda reading: reading.inter_token),
        metrics.CACHE_HIT_RATE: _hit_percent(pairs),
    }


def _latency(pairs: list[_Pair], buckets: Callable[[EngineReading], Buckets]) -> Value | None:
    edges = {edge for pair in pairs for edge in buckets(pair.new)}
    found = distribution(edges, [bucket_increase(buckets(pair.old), buckets(pair.new)) for pair in pairs])
    return found if found.size else None


def _hit_percent(pairs: list[_Pair]) -> float | None:
    cached = computed = 0.0
    for pair in pairs:
        hits = increase(pair.old.cached_tokens, pair.new.cached_tokens)
        misses = increase(pair.old.computed_tokens, pair.new.computed_tokens)
        if hits + misses >= PROBE_TOKENS_PER_SECOND * pair.seconds:
            cached, computed = cached + hits, computed + misses
    return 100 * cached / (cached + computed) if cached + computed else None
