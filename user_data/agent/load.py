"""The load of each pool, from what the router says about itself. No call is made and no clock is read here.

The router's metrics, as smg 1.13.0 writes them (measured; the label is the worker's URL as the manifest has it):

- `smg_worker_requests_active{worker="http://10.0.0.1:30000"} 6`: requests sent to the worker and not answered yet, so
  both those that its engine runs and those that wait in the engine's queue. A worker that was never asked has no line.
- `smg_worker_health{worker="http://10.0.0.1:30000"} 1`: 0 when it fails its health checks, and while it is drained.
  A worker that is listed but has not answered yet has no line. Both lines go with the worker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from user_data.agent.prometheus import number
from user_data.node_config import METRIC_INTERVAL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from user_data.agent.aws import Worker

ACTIVE = "smg_worker_requests_active"
HEALTH = "smg_worker_health"

EARLY_SECONDS = 1.0
"""A wait that ends this much before the middle of a period is that period's; the next one is the period after."""

# Prometheus text format: NAME{LABEL="VALUE",…} NUMBER. A worker's URL has no character that is escaped there.
_LINE = re.compile(rf'^({ACTIVE}|{HEALTH})\{{(?:[^}}]*,)?worker="([^"]*)"[^}}]*\}} (\S+)', re.MULTILINE)


@dataclass(frozen=True)
class Samples:
    """What the router says of its workers, by URL."""

    active: Mapping[str, float]
    healthy: frozenset[str]


@dataclass(frozen=True)
class PoolLoad:
    """One pool at one moment."""

    pool: str
    active: float
    ready: int
    in_service: int

    @property
    def per_worker(self) -> float:
        """Requests, running and queued, per ready worker.

        When the router finds none of the workers in service healthy, they share what is still in flight: that is
        little, and says that nothing new is let in, not that the pool is idle. A pool without a worker in service has
        load 0: the router refuses requests that nobody can take, so none are waiting.
        """
        return self.active / (self.ready or self.in_service or 1)


def parse_samples(text: str) -> Samples:
    """Read the router's metrics page.

    Raises:
        ValueError: a value is not a number, or no count.
    """
    lines = [(name, url, number(value)) for name, url, value in _LINE.findall(text)]
    return Samples(
        active={url: value for name, url, value in lines if name == ACTIVE},
        healthy=frozenset(url for name, url, value in lines if name == HEALTH and value > 0),
    )


def loads(samples: Samples, workers: Iterable[Worker], pools: Iterable[str]) -> tuple[PoolLoad, ...]:
    """Return the load of every pool in `pools`, also of one without workers.

    Only workers in service count: a worker on its way out takes what it still runs along, and no new worker would
    relieve it. See `PoolLoad.per_worker` for a pool without ready workers.
    """
    urls = [(worker.pool, worker.url) for worker in workers if worker.in_service and worker.url]
    return tuple(_pool_load(pool, [url for of, url in urls if of == pool], samples) for pool in pools)


def _pool_load(pool: str, urls: list[str], samples: Samples) -> PoolLoad:
    active = sum(samples.active.get(url, 0.0) for url in urls)
    return PoolLoad(pool, active, ready=sum(url in samples.healthy for url in urls), in_service=len(urls))


def until_next(now: float) -> float:
    """Return the seconds from `now` (seconds since 1970) to the middle of the next period.

    CloudWatch's periods begin at multiples of their length. In the middle, a value that is some seconds late is still
    its period's, so that every period has exactly one; near an edge some would have two and their neighbours none.
    """
    wait = METRIC_INTERVAL_SECONDS - (now - METRIC_INTERVAL_SECONDS / 2) % METRIC_INTERVAL_SECONDS
    return wait if wait > EARLY_SECONDS else wait + METRIC_INTERVAL_SECONDS
