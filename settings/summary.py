"""What a deployment consists of and what its workers cost per hour, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.catalogue import catalogue
from settings.costs.prices import price_list
from settings.fit.pool import pool_note

if TYPE_CHECKING:
    from settings.costs.prices import Price
    from settings.model import Settings
    from settings.workers import WorkerPool


@dataclass(frozen=True)
class PoolSummary:
    """One pool.

    Costs are on-demand USD per hour at min_size and max_size, None where no price is known; `fit` is what a worker
    holds, in words.
    """

    name: str
    instance_type: str
    gpus: str
    model_id: str
    min_size: int
    max_size: int
    usd_per_hour_min: float | None
    usd_per_hour_max: float | None
    fit: str


@dataclass(frozen=True)
class DeploymentSummary:
    """One deployment's pools and their costs together; `price_date` is the oldest day of a price, None without any."""

    name: str
    region: str
    router: str
    pools: tuple[PoolSummary, ...]
    usd_per_hour_min: float | None
    usd_per_hour_max: float | None
    price_date: str | None


def summarize(settings: Settings) -> DeploymentSummary:
    """Return the summary of a deployment; only workers are priced, on demand in their own region."""
    prices = {pool.name: price_list().find(settings.region, f"ec2/{pool.instance_type}") for pool in settings.workers}
    pools = tuple(_pool(pool, prices[pool.name]) for pool in settings.workers)
    return DeploymentSummary(
        name=settings.name,
        region=settings.region,
        router=f"{settings.router.count} x {settings.router.instance_type} at "
        f"{settings.router.address}:{settings.router.port}",
        pools=pools,
        usd_per_hour_min=_total([pool.usd_per_hour_min for pool in pools]),
        usd_per_hour_max=_total([pool.usd_per_hour_max for pool in pools]),
        price_date=min((price.date for price in prices.values() if price), default=None),
    )


def _pool(pool: WorkerPool, price: Price | None) -> PoolSummary:
    instance = catalogue().instances[pool.instance_type]
    return PoolSummary(
        name=pool.name,
        instance_type=pool.instance_type,
        gpus=f"{instance.gpu_count} x {instance.gpu}",
        model_id=pool.model_id,
        min_size=pool.min_size,
        max_size=pool.max_size,
        usd_per_hour_min=None if price is None else round(price.usd * pool.min_size, 4),
        usd_per_hour_max=None if price is None else round(price.usd * pool.max_size, 4),
        fit=pool_note(pool),
    )


def _total(prices: list[float | None]) -> float | None:
    known = [price for price in prices if price is not None]
    return round(sum(known), 4) if len(known) == len(prices) else None
