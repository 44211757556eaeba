"""From what there is (`Estate`) and how it is used (`Usage`) to a bill, at the prices of the estate's region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.costs.amount import Amount
from settings.costs.bill import Bill, CostLine
from settings.costs.estate import DEPLOYMENT_METRICS, HOST_METRICS, POOL_METRICS
from settings.costs.prices import Price, price_list
from settings.costs.usage import (
    DETAILED_METRICS,
    FREE_IOPS,
    FREE_THROUGHPUT_MIB,
    HOURS_PER_DAY,
    REQUESTS_PER_UNIT,
    Usage,
)
from settings.naming import STACK_LOGS, STACK_NETWORK, STACK_ROUTER, workers_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.costs.estate import Estate, Pool, Volume
    from settings.costs.prices import PriceList

SPOT_SHARE = "ec2-spot/share"
ZERO = Amount.always(0)


def bill_of(estate: Estate, usage: Usage | None = None, prices: PriceList | None = None) -> Bill:
    """Return the bill of an estate, at list prices of its own region only."""
    counter = _Counter(estate, usage or Usage(), prices or price_list())
    lines = (*counter.network(), *counter.logs(), *counter.router(), *counter.pools())
    return Bill(estate.region, tuple(line for line in lines if line.amount != ZERO), counter.prices)


@dataclass(frozen=True)
class _Counter:
    estate: Estate
    usage: Usage
    prices: PriceList

    def network(self) -> Iterator[CostLine]:
        """NAT gateways and their addresses, endpoints, and the data that goes through them."""
        estate = self.estate
        yield self._line(STACK_NETWORK, "NAT gateways", "vpc/nat-gateway", estate.nat_gateways)
        yield self._line(STACK_NETWORK, "public addresses", "vpc/public-address", estate.public_addresses)
        yield self._line(STACK_NETWORK, "interface endpoints", "vpc/endpoint", estate.endpoints)
        data, logs = self._hosts * self.usage.api_gb_per_host_hour, self._hosts * self.usage.log_gb_per_host_hour
        through_nat = (data if estate.logs_endpoint else data + logs) if estate.nat_gateways else ZERO
        through_endpoints = logs if estate.logs_endpoint else ZERO
        if not estate.nat_gateways:
            through_endpoints = data + logs
        yield self._line(STACK_NETWORK, "data through NAT gateways", "vpc/nat-data", through_nat)
        yield self._line(STACK_NETWORK, "data through endpoints", "vpc/endpoint-data", through_endpoints)

    def logs(self) -> Iterator[CostLine]:
        """Log lines in and kept, the dashboard, and the deployment's own metrics and alarms."""
        estate, usage = self.estate, self.usage
        flow = usage.flow_log_gb_per_host_hour if estate.flow_logs else 0.0
        written = self._hosts * (usage.log_gb_per_host_hour + flow)
        kept = written * (HOURS_PER_DAY * estate.retention_days * usage.stored_share)
        yield self._line(STACK_LOGS, "log lines written", "logs/ingested", written)
        yield self._line(STACK_LOGS, f"log lines kept {estate.retention_days} days", "logs/stored", kept)
        yield self._line(STACK_LOGS, "dashboard", "cloudwatch/dashboard", estate.dashboards)
        yield self._line(STACK_LOGS, "alarms, by metric", "cloudwatch/alarm", estate.alarm_metrics)
        fast = estate.fast_alarm_metrics
        yield self._line(STACK_LOGS, "high-resolution alarms", "cloudwatch/alarm-high-resolution", fast)
        metrics = DEPLOYMENT_METRICS if estate.routers else 0
        yield self._line(STACK_LOGS, "metrics of the deployment", "cloudwatch/metric", metrics)

    def router(self) -> Iterator[CostLine]:
        """Router hosts with their volumes, and the load balancer in front of several."""
        estate, hosts = self.estate, Amount.always(self.estate.routers)
        yield self._line(STACK_ROUTER, f"hosts, {estate.router_type}", f"ec2/{estate.router_type}", hosts)
        yield from self._volume(STACK_ROUTER, estate.router_volume, hosts)
        yield self._line(STACK_ROUTER, "load balancer", "elb/network", estate.balancers)
        units = self.usage.capacity_units * estate.balancers
        yield self._line(STACK_ROUTER, "load balancer, capacity", "elb/network-capacity", units)
        yield from self._monitoring(STACK_ROUTER, hosts)
        if STACK_ROUTER not in estate.own_images:
            yield self._snapshot(STACK_ROUTER, estate.router_volume)

    def pools(self) -> Iterator[CostLine]:
        """The workers of every pool."""
        for pool in self.estate.pools:
            yield from self._pool(workers_stack(pool.name), pool)

    def _pool(self, stack: str, pool: Pool) -> Iterator[CostLine]:
        kind, spot = pool.instance_type, _less(pool.workers, pool.on_demand)
        yield self._line(stack, f"workers, {kind}", f"ec2/{kind}", pool.on_demand)
        yield self._spot(stack, kind, spot)
        running = pool.waiting if pool.warm and pool.warm.running else ZERO
        yield self._line(stack, f"running warm pool, {kind}", f"ec2/{kind}", running)
        for volume in pool.volumes:
            yield from self._volume(stack, volume, pool.workers + pool.waiting)
            yield self._initialization(stack, volume, pool)
            if stack not in self.estate.own_images:
                yield self._snapshot(stack, volume)
        yield from self._monitoring(stack, pool.running)
        metrics = POOL_METRICS + HOST_METRICS
        yield self._line(stack, "metrics of the pool", "cloudwatch/metric", metrics)

    def _volume(self, stack: str, volume: Volume, hosts: Amount) -> Iterator[CostLine]:
        name = f"{volume.role} volumes"
        size = None if volume.size_gib is None else hosts * volume.size_gib
        yield self._line(stack, f"{name}, storage", "ebs/gp3-storage", size)
        iops = hosts * max(0, volume.iops - FREE_IOPS)
        yield self._line(stack, f"{name}, IOPS above {FREE_IOPS}", "ebs/gp3-iops", iops)
        rate = hosts * max(0, volume.throughput_mib - FREE_THROUGHPUT_MIB)
        yield self._line(stack, f"{name}, MiB/s above {FREE_THROUGHPUT_MIB}", "ebs/gp3-throughput", rate)

    def _initialization(self, stack: str, volume: Volume, pool: Pool) -> CostLine:
        """Charged once for each volume made: its snapshot's size times the rate."""
        name, item = f"{volume.role} volumes, initialization rate", "ebs/initialization"
        launches = self.usage.launches_per_worker_day
        made = Amount(
            pool.workers.least * launches.least,
            pool.workers.expected * launches.expected,
            pool.workers.most * launches.most,
        )
        if volume.initialization_rate_mib == 0:
            return self._line(stack, name, item, 0)
        size = volume.size_gib
        amount = None if size is None else made * (size * volume.initialization_rate_mib / HOURS_PER_DAY)
        return self._line(stack, name, item, amount)

    def _snapshot(self, stack: str, volume: Volume) -> CostLine:
        """The image's snapshots: at most the size of their volume; empty blocks are not stored."""
        size = None if volume.size_gib is None else Amount.always(volume.size_gib)
        note = "at most: only blocks with data are stored, and pools with equal images share them"
        return self._line(stack, f"image, snapshot of the {volume.role} volume", "ebs/snapshot", size, note)

    def _monitoring(self, stack: str, hosts: Amount) -> Iterator[CostLine]:
        yield self._line(stack, "detailed monitoring", "cloudwatch/metric", hosts * DETAILED_METRICS)
        yield self._line(stack, "metrics of each host", "cloudwatch/metric", hosts * HOST_METRICS)
        requests = hosts * (self.usage.requests_per_host_hour / REQUESTS_PER_UNIT)
        yield self._line(stack, "metrics, requests", "cloudwatch/requests", requests)

    def _spot(self, stack: str, kind: str, hosts: Amount) -> CostLine:
        """At the region's spot price where the catalogue has one, else at a share of the price on demand."""
        name, region = f"spot workers, {kind} (estimate)", self.estate.region
        known, share = self.prices.find(region, f"ec2-spot/{kind}"), self.prices.find(region, SPOT_SHARE)
        full = self.prices.find(region, f"ec2/{kind}")
        if known is None and share is not None and full is not None:
            source = f"{share.usd:g} of on-demand ({share.source})"
            known = Price(region, f"ec2-spot/{kind}", full.usd * share.usd, full.unit, full.date, source)
        note = "an estimate: spot prices move; the largest case takes the price on demand, which they cannot exceed"
        return CostLine(stack, name, hosts, "hour", f"ec2-spot/{kind}", known, note=note)

    def _line(self, stack: str, name: str, item: str, amount: Amount | float | None, note: str = "") -> CostLine:
        price = self.prices.find(self.estate.region, item)
        count = Amount.always(amount) if isinstance(amount, int | float) else amount
        unit = price.unit if price else "unit"
        if count is None:
            problem = "the size of the model's files is not known; set workers.model_volume.size_gib, or bake first"
            return CostLine(stack, name, None, unit, item, price, problem, note)
        return CostLine(stack, name, count, unit, item, price, note=note)

    @property
    def _hosts(self) -> Amount:
        """Hosts that run: routers, workers, and a warm pool that is kept running."""
        hosts = Amount.always(self.estate.routers)
        for pool in self.estate.pools:
            hosts += pool.running
        return hosts


def _less(whole: Amount, part: Amount) -> Amount:
    return whole + part * -1
