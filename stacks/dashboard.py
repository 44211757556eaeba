"""The CloudWatch dashboard: every metric of the catalogue, the groups as AWS sees them, and the newest warnings.

Structure: CloudWatch API reference, "Dashboard body structure and syntax": 24 columns, one `widgets` list, each with
type, x, y, width, height and properties.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.alarm import PoolMetrics, incoming_bytes
from stacks.dashboard_widgets import Graph, Line, Logs, Text, placed
from stacks.saved_queries import router_errors, warnings
from user_data import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stacks.dashboard_widgets import Widget

Shown = tuple[str, str, tuple[tuple[str, str], ...]]
"""Namespace, name and sorted dimensions of a metric."""

# Groups publish nothing unless asked: each pool's group is asked for exactly these.
GROUP_METRICS = (
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupTerminatingInstances",
)
NEWEST = 50


@dataclass(frozen=True)
class PoolOnDashboard:
    """What the dashboard shows of a pool, and the numbers that its lines are held against."""

    name: str
    auto_scaling_group: str
    log_group: str
    target_load: float
    kv_usage_high_percent: int
    ttft_seconds: float
    error_rate_percent: float
    may_be_empty: bool


@dataclass(frozen=True)
class Dashboard:
    """What the dashboard is about."""

    region: str
    deployment: str
    namespace: str
    pools: tuple[PoolOnDashboard, ...]
    router_log: str
    log_groups: tuple[str, ...]

    def metrics_of(self, pool: PoolOnDashboard) -> PoolMetrics:
        """Where the metrics of a pool are."""
        return PoolMetrics(self.namespace, self.deployment, pool.name, pool.auto_scaling_group)


def dashboard_body(dashboard: Dashboard) -> str:
    """The dashboard's JSON."""
    return json.dumps({"widgets": placed(_rows(dashboard), dashboard.region)}, sort_keys=True)


def shown_metrics(dashboard: Dashboard) -> frozenset[Shown]:
    """Every metric that the dashboard shows, those of AWS included: what must be published for no graph to be empty."""
    lines = (line for row in _rows(dashboard) for widget in row if isinstance(widget, Graph) for line in widget.lines)
    return frozenset(
        (line.series.namespace, line.series.name, tuple(sorted(line.series.dimensions.items()))) for line in lines
    )


def _rows(dashboard: Dashboard) -> Iterator[tuple[Widget, ...]]:
    yield (Text(f"# {dashboard.deployment}\n{_legend(dashboard)}"),)
    yield _router(dashboard)
    for pool in dashboard.pools:
        yield (Text(f"## Pool {pool.name}\nGroup `{pool.auto_scaling_group}`, log `{pool.log_group}`"),)
        yield from _pool(dashboard.metrics_of(pool), pool)


def _legend(dashboard: Dashboard) -> str:
    queries = f"Saved queries: Logs Insights, folder `{dashboard.deployment}`."
    return f"The metrics of the fleet itself are in namespace `{dashboard.namespace}`. {queries}"


def _router(dashboard: Dashboard) -> tuple[Widget, ...]:
    up = PoolMetrics(dashboard.namespace, dashboard.deployment, "", "").series("up", metrics.ROUTER_UP)
    volume = tuple(Line(incoming_bytes(group), group) for group in dashboard.log_groups)
    return (
        Graph("Router answers", (Line(up, "up"),), highest=1),
        Graph("Log volume, bytes", volume, period=3600),
        Logs("Router: warnings and errors", dashboard.router_log, router_errors()),
    )


def _pool(at: PoolMetrics, pool: PoolOnDashboard) -> Iterator[tuple[Widget, ...]]:
    yield (_load(at, pool), _requests(at), _workers(at))
    yield (_rates(at, pool), _latency(at, pool), _memory(at, pool))
    yield (_engines(at), _gpus(at), _boots(at, pool))
    yield (Logs(f"{pool.name}: warnings", pool.log_group, warnings(NEWEST)),)


def _line(at: PoolMetrics, metric: metrics.Metric, label: str, *, right: bool = False) -> Line:
    return Line(at.series("shown", metric), label, right=right)


def _load(at: PoolMetrics, pool: PoolOnDashboard) -> Graph:
    prompts = _line(at, metrics.PROMPT_LOAD, "prompts, % of what answers bear", right=True)
    lines = (_line(at, metrics.LOAD, "load per ready worker"), prompts)
    return Graph(f"{pool.name}: load", lines, period=metrics.LOAD.period_seconds, marks=(("target", pool.target_load),))


def _requests(at: PoolMetrics) -> Graph:
    lines = (_line(at, metrics.IN_FLIGHT, "in flight"), _line(at, metrics.QUEUED, "of these queued"))
    return Graph(f"{at.pool}: requests", lines)


def _workers(at: PoolMetrics) -> Graph:
    ready = _line(at, metrics.READY_WORKERS, "ready for the router")
    lines = (Line(at.group_series("shown", name), name.removeprefix("Group")) for name in GROUP_METRICS)
    return Graph(f"{at.pool}: workers", (ready, *lines))


def _rates(at: PoolMetrics, pool: PoolOnDashboard) -> Graph:
    lines = (
        _line(at, metrics.REQUEST_RATE, "requests/s"),
        _line(at, metrics.ERROR_RATE, "errors, %", right=True),
    )
    return Graph(f"{pool.name}: rate and errors", lines, right_marks=(("alarm", pool.error_rate_percent),))


def _latency(at: PoolMetrics, pool: PoolOnDashboard) -> Graph:
    lines = (
        _line(at, metrics.TIME_TO_FIRST_TOKEN, "first token, s, p90"),
        _line(at, metrics.INTER_TOKEN_LATENCY, "between tokens, s, p90", right=True),
    )
    return Graph(f"{pool.name}: latency", lines, marks=(("alarm", pool.ttft_seconds),))


def _memory(at: PoolMetrics, pool: PoolOnDashboard) -> Graph:
    lines = (
        _line(at, metrics.CACHE_HIT_RATE, "prompt tokens found in a cache, %"),
        _line(at, metrics.KV_USAGE, "KV memory in use, %"),
    )
    high = pool.kv_usage_high_percent
    return Graph(f"{pool.name}: caches", lines, marks=(("one worker more", high),) if high else (), highest=100)


def _engines(at: PoolMetrics) -> Graph:
    lines = (
        _line(at, metrics.RUNNING, "running per engine"),
        _line(at, metrics.ENGINE_QUEUED, "queued per engine"),
        _line(at, metrics.THROUGHPUT, "tokens/s per engine", right=True),
    )
    return Graph(f"{at.pool}: engines", lines)


def _gpus(at: PoolMetrics) -> Graph:
    lines = (
        _line(at, metrics.GPU_UTILIZATION, "utilisation, %"),
        _line(at, metrics.GPU_MEMORY, "memory of the fullest, %"),
        _line(at, metrics.GPU_TEMPERATURE, "hottest, °C", right=True),
    )
    return Graph(f"{at.pool}: GPUs", lines)


def _boots(at: PoolMetrics, pool: PoolOnDashboard) -> Graph:
    """What metric filters count of the logs."""
    failures = _line(at, metrics.BOOT_FAILURES, "boots given up")
    refused = (_line(at, metrics.REFUSED, "refused while empty"),) if pool.may_be_empty else ()
    return Graph(f"{pool.name}: counted in the logs", (failures, *refused), period=300)
