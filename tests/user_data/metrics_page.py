"""The parts of docs/metrics.md that follow from the code: the table of metrics, and what they cost."""

from __future__ import annotations

from tests.user_data.nodes import WORKER_NODE
from user_data.cloudwatch_agent import METRICS_INTERVAL_SECONDS, agent_configuration
from user_data.metrics import ALL_METRICS, LOG_METRICS, Metric
from user_data.node_config import DIMENSION_POOL, METRIC_INTERVAL_SECONDS

METRIC_MONTH_USD = 0.30
"""CloudWatch's public list price in us-east-1 for each of the first 10,000 custom metrics, November 2026."""
THOUSAND_CALLS_USD = 0.01
"""The same list's price of 1,000 PutMetricData requests."""
HOURS = 730
"""Of a month, as AWS's own calculator counts."""


def table() -> str:
    """Every metric, one a line."""
    rows = [_row(metric) for metric in ALL_METRICS]
    head = "| Metric | Unit | Read it as | Published by | Every | What it says |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def _row(metric: Metric) -> str:
    unit = metric.unit if metric.unit != "None" else "°C"
    cells = (f"`{metric.name}`", unit, metric.statistic, metric.publisher.value, f"{metric.period_seconds} s")
    return f"| {' | '.join(cells)} | {metric.meaning} |"


def cost() -> str:
    """The monthly cost, with its arithmetic."""
    of_pool = sum(DIMENSION_POOL in metric.dimensions for metric in ALL_METRICS) + len(LOG_METRICS)
    of_deployment = len(ALL_METRICS) - of_pool
    of_host = _host_metrics()
    calls, agent_calls = _calls(METRIC_INTERVAL_SECONDS), _calls(METRICS_INTERVAL_SECONDS)
    deployment = of_deployment * METRIC_MONTH_USD
    pool = (of_pool + of_host) * METRIC_MONTH_USD
    host = of_host * METRIC_MONTH_USD + (calls + agent_calls) / 1000 * THOUSAND_CALLS_USD
    each = f"{METRIC_MONTH_USD:.2f}"
    both = f"({calls:,} + {agent_calls:,}) / 1,000 x {THOUSAND_CALLS_USD:.2f}"
    total = deployment + pool + 2 * host
    lines = (
        "| What | Metrics | Calls | USD a month |",
        "|---|---|---|---|",
        f"| the deployment | {of_deployment} x {each} | | {deployment:.2f} |",
        f"| each pool | ({of_pool} + {of_host} host metrics over its group) x {each} | | {pool:.2f} |",
        f"| each host: router, worker | {of_host} host metrics x {each} | {both} | {host:.2f} |",
        "",
        f"- One pool with one worker: {deployment:.2f} + {pool:.2f} + 2 x {host:.2f} = **{total:.2f} USD**.",
        f"- Each further worker that runs all month: **{host:.2f} USD**.",
        f"- Each further pool, without its workers: **{pool:.2f} USD**.",
    )
    return "\n".join(lines)


def _calls(interval_seconds: int) -> int:
    return HOURS * 3600 // interval_seconds


def _host_metrics() -> int:
    """Metrics of one host by the CloudWatch agent: each measurement is one, on one CPU total and one file system."""
    sections = agent_configuration(WORKER_NODE)["metrics"]
    assert isinstance(sections, dict)
    collected = sections["metrics_collected"]
    assert isinstance(collected, dict)
    return len(collected)


PARTS = {"table": table, "cost": cost}
