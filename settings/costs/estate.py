"""What is charged for, counted: hosts, volumes, gateways, endpoints, alarms. No prices here.

`estate_of` counts from settings, `planned.estate_of_resources` from what Terraform plans or has; a test holds the two
together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.bake import model_volume_gib
from settings.costs.amount import Amount
from settings.costs.schedule import expected_minimum
from settings.naming import STACK_ROUTER, workers_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from settings.model import Settings
    from settings.router import VolumeSettings
    from settings.workers import WorkerPool

# Of the programs on the hosts: `user_data.metrics` and the CloudWatch agent's configuration; a test compares.
POOL_METRICS = 19
DEPLOYMENT_METRICS = 1
HOST_METRICS = 3


@dataclass(frozen=True)
class Volume:
    """A gp3 volume; its size is None while nobody knows how large the model is."""

    role: str
    size_gib: float | None
    iops: int
    throughput_mib: int
    initialization_rate_mib: int = 0


@dataclass(frozen=True)
class Warm:
    """A warm pool: hosts at least, hosts in service and warm together at most (None: the pool's most), running?"""

    least: int
    prepared: int | None
    running: bool


@dataclass(frozen=True)
class Spot:
    """How much is on-demand: so many hosts, then this share in percent."""

    base: int
    percent: int

    def on_demand(self, workers: float) -> float:
        """How many of so many hosts are on-demand; AWS rounds the share up, of a mean it is taken as it is."""
        above = max(0.0, workers - self.base)
        share = above * self.percent / 100
        if float(workers).is_integer():
            share = math.ceil(share)
        return min(workers, min(workers, self.base) + share)


@dataclass(frozen=True)
class Pool:
    """Hosts of one pool in service, by case, and what each of them has."""

    name: str
    instance_type: str
    workers: Amount
    largest: int
    volumes: tuple[Volume, ...]
    warm: Warm | None = None
    spot: Spot | None = None

    @property
    def waiting(self) -> Amount:
        """Hosts in the warm pool (PutWarmPool: MaxGroupPreparedCapacity less desired capacity, at least MinSize)."""
        warm = self.warm
        if warm is None:
            return Amount.always(0)
        prepared = self.largest if warm.prepared is None else warm.prepared
        return self.workers.each(lambda workers: max(float(warm.least), prepared - workers))

    @property
    def running(self) -> Amount:
        """Hosts that run."""
        return self.workers + self.waiting if self.warm and self.warm.running else self.workers

    @property
    def on_demand(self) -> Amount:
        """Hosts in service that are bought on demand; in the largest case all: a spot price may rise that far."""
        if self.spot is None:
            return self.workers
        return Amount(
            self.spot.on_demand(self.workers.least), self.spot.on_demand(self.workers.expected), self.workers.most
        )


@dataclass(frozen=True)
class Estate:
    """Everything of one deployment that is charged for."""

    region: str
    router_type: str
    routers: int
    router_volume: Volume
    pools: tuple[Pool, ...]
    nat_gateways: int
    public_addresses: int
    endpoints: int
    """Interface endpoints, each counted in every zone."""
    logs_endpoint: bool
    balancers: int
    flow_logs: bool
    retention_days: int
    alarm_metrics: int
    """Metrics that standard alarms look at."""
    fast_alarm_metrics: int
    dashboards: int
    own_images: frozenset[str] = frozenset()
    """Stacks whose image is the user's, so that its snapshots are not the deployment's."""


def estate_of(
    settings: Settings, model_bytes: Mapping[str, int] | None = None, expected: Mapping[str, float] | None = None
) -> Estate:
    """Count what a deployment has.

    `model_bytes`: size of the model's files by pool; without one a model volume has an unknown size, unless the
    settings give it. `expected`: mean workers by pool, as a simulation gives them (GPU hours by hours); without one
    the scheduled minimum over a year, or the size at the first apply.
    """
    zones, logs = len(settings.availability_zones), "logs" in settings.network.interface_endpoints
    gateways = {"single": 1, "per_az": zones, "none": 0}[settings.network.nat]
    return Estate(
        region=settings.region,
        router_type=settings.router.instance_type,
        routers=settings.router.count,
        router_volume=_root(settings.router.volume),
        pools=tuple(_pool(pool, model_bytes or {}, expected or {}) for pool in settings.workers),
        nat_gateways=gateways,
        public_addresses=gateways,
        endpoints=len(settings.network.interface_endpoints) * zones,
        logs_endpoint=logs,
        balancers=int(settings.router.count > 1),
        flow_logs=settings.network.flow_logs,
        retention_days=settings.logs.retention_days,
        alarm_metrics=_alarm_metrics(settings),
        fast_alarm_metrics=sum(_fast_alarm_metrics(pool) for pool in settings.workers),
        dashboards=1,
        own_images=frozenset(_own_images(settings)),
    )


def _own_images(settings: Settings) -> Iterator[str]:
    if settings.router.image.is_own:
        yield STACK_ROUTER
    yield from (workers_stack(pool.name) for pool in settings.workers if pool.image.is_own)


def _root(volume: VolumeSettings) -> Volume:
    return Volume("root", volume.size_gib, volume.iops, volume.throughput_mib)


def _pool(pool: WorkerPool, model_bytes: Mapping[str, int], expected: Mapping[str, float]) -> Pool:
    warm, spot = pool.warm_pool, pool.spot
    largest = max([pool.max_size, *(one.max_size or 0 for one in pool.scaling.schedules)])
    least = min([pool.min_size, *(one.min_size for one in pool.scaling.schedules)])
    mean = expected.get(pool.name, expected_minimum(pool))
    return Pool(
        name=pool.name,
        instance_type=pool.instance_type,
        workers=Amount(least, mean, largest),
        largest=largest,
        volumes=(_root(pool.volume), *_model_volume(pool, model_bytes.get(pool.name))),
        warm=Warm(warm.min_size, warm.max_prepared, warm.state == "running") if warm.enabled else None,
        spot=Spot(spot.on_demand_base, spot.on_demand_percentage) if spot.enabled else None,
    )


def _model_volume(pool: WorkerPool, size: int | None) -> tuple[Volume, ...]:
    volume = pool.model_volume
    if not volume.enabled:
        return ()
    gib = volume.size_gib if size is None else model_volume_gib(volume, size)
    return (Volume("model", gib, volume.iops, volume.throughput_mib, volume.initialization_rate_mib),)


def _alarm_metrics(settings: Settings) -> int:
    """Standard alarms, by the metrics that they look at: docs/scaling.md lists them."""
    groups = 2 + len(settings.workers)  # network, router and each pool: the volume of its log
    routers = 1 + settings.router.count  # down, and recovery of each host
    return groups + routers + sum(_pool_alarm_metrics(pool) for pool in settings.workers)


def _pool_alarm_metrics(pool: WorkerPool) -> int:
    scaling = pool.scaling
    looked_at = (scaling.kv_usage_high_percent > 0, scaling.target_prompt_load > 0, pool.min_size == 0)
    scale_in = 4 + sum(looked_at)
    empty = 3  # without a ready worker, or the wake-up of a pool that may be empty
    return scale_in + empty + 3  # errors, slow, boot failures


def _fast_alarm_metrics(pool: WorkerPool) -> int:
    """Out on load and on prompts (made by target tracking), out on KV memory."""
    return 1 + int(pool.scaling.target_prompt_load > 0) + int(pool.scaling.kv_usage_high_percent > 0)
