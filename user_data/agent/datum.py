"""One value of a metric in the form that PutMetricData takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from user_data.agent.distribution import Distribution
from user_data.node_config import DIMENSION_DEPLOYMENT, DIMENSION_POOL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

    from user_data.metrics import Metric

HIGH_RESOLUTION = 1
"""CloudWatch API, PutMetricData, StorageResolution: 1 keeps seconds, which alarms of under a minute need."""

Value = float | Distribution


def dimension_values(deployment: str, pool: str = "") -> dict[str, str]:
    """Return what a metric's dimensions stand for; `pool` only for metrics of one."""
    return {DIMENSION_DEPLOYMENT: deployment, DIMENSION_POOL: pool}


def datum(metric: Metric, value: Value, dimensions: Mapping[str, str], now: datetime) -> MetricDatumTypeDef:
    """Return one datum; `dimensions` has a value for each of the metric's dimensions at least."""
    made: MetricDatumTypeDef = {
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": dimensions[name]} for name in metric.dimensions],
        "Timestamp": now,
        "Unit": metric.unit,
        "StorageResolution": HIGH_RESOLUTION,
    }
    if isinstance(value, Distribution):
        made["Values"], made["Counts"] = list(value.counts), list(value.counts.values())
    else:
        made["Value"] = value
    return made
