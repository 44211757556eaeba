"""GetMetricData and GetMetricStatistics of the metrics that the emulated CloudWatch keeps.

What moto 5.2.5 does instead: periods begin with the first data point, metric math and percentiles are empty. Metrics of
AWS's own namespaces and Metrics Insights are left to moto.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError
from moto.cloudwatch.models import CloudWatchBackend, Statistics
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from rehearsal.emulated_aws.alarms.metric_math_parser import MetricMathError
from rehearsal.emulated_aws.alarms.metric_store import MetricId, Query, common_period, store_of
from rehearsal.emulated_aws.alarms.schedules import utc
from rehearsal.emulated_aws.alarms.statistics import StatisticError, aligned, check
from rehearsal.emulated_aws.extension import extend
from rehearsal.emulated_aws.scaling_groups import WORLD

AWS_NAMESPACE = "AWS/"
INSIGHTS = "SELECT"


def _get_metric_data(
    self: CloudWatchBackend,
    queries: list[dict[str, Any]],
    start_time: datetime,
    end_time: datetime,
    scan_by: str = "TimestampAscending",
) -> list[dict[str, Any]]:
    """API_GetMetricData.html. Every query is worked out over whole periods from the start on."""
    if any(_is_motos(query) for query in queries):
        found: list[dict[str, Any]] = _moto_get_data(self, queries, start_time, end_time, scan_by)
        return found
    if start_time >= end_time:
        raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
    asked = [Query.of(query) for query in queries]
    with WORLD.lock:
        return [
            _result(self, asked, query, (start_time, end_time), newest_first=scan_by == "TimestampDescending")
            for query in asked
            if query.returned
        ]


def _is_motos(query: Mapping[str, Any]) -> bool:
    namespace = query.get("MetricStat", {}).get("Metric", {}).get("Namespace", "")
    return str(namespace).startswith(AWS_NAMESPACE) or str(query.get("Expression", "")).startswith(INSIGHTS)


def _result(
    backend: CloudWatchBackend,
    asked: Sequence[Query],
    query: Query,
    between: tuple[datetime, datetime],
    *,
    newest_first: bool,
) -> dict[str, Any]:
    period = query.period if query.metric is not None else common_period(asked)
    starts = _periods(*between, period)
    try:
        for one in asked:
            if one.metric is not None:
                check(one.statistic, one.period)
        series = store_of(backend).answer(asked, query.id, starts)
    except (MetricMathError, StatisticError) as error:
        raise ValidationError(str(error)) from error
    moments = sorted(series, reverse=newest_first)
    return {
        "id": query.id,
        "label": query.label or (query.metric.name if query.metric is not None else query.id),
        "values": [series[at] for at in moments],
        "timestamps": [datetime.fromtimestamp(at, UTC) for at in moments],
        "status_code": "Complete",
    }


class _Told(Statistics):
    """One period of GetMetricStatistics, as moto's answer is made from it."""

    def __init__(self, at: int, unit: str | None, values: Mapping[str, float]) -> None:
        super().__init__([], datetime.fromtimestamp(at, UTC), unit)
        simple = {name: value for name, value in values.items() if not name.startswith("p")}
        self.extended_statistics = {name: value for name, value in values.items() if name.startswith("p")} or None
        self._simple = simple

    @property
    def sample_count(self) -> float | None:
        return self._simple.get("SampleCount")

    @property
    def sum(self) -> float | None:
        return self._simple.get("Sum")

    @property
    def average(self) -> float | None:
        return self._simple.get("Average")

    @property
    def minimum(self) -> float | None:
        return self._simple.get("Minimum")

    @property
    def maximum(self) -> float | None:
        return self._simple.get("Maximum")


def _periods(since: datetime, until: datetime, period: int) -> range:
    return range(aligned(utc(since).timestamp(), period), math.ceil(utc(until).timestamp()), period)


def _get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
    """API_GetMetricStatistics.html: every statistic that is asked for, of each period that has data."""
    given = self._get_params()
    if str(given["Namespace"]).startswith(AWS_NAMESPACE):
        return _moto_get_statistics(self)
    period, unit = int(given["Period"]), given.get("Unit")
    names = [*(given.get("Statistics") or ()), *(given.get("ExtendedStatistics") or ())]
    metric = MetricId.of(given["Namespace"], given["MetricName"], given.get("Dimensions") or ())
    starts = _periods(given["StartTime"], given["EndTime"], period)
    rows: dict[int, dict[str, float]] = {}
    try:
        for name in names:
            check(name, period)
            with WORLD.lock:
                series = store_of(self.cloudwatch_backend).series(Query("", metric, name, period, unit), starts)
            for at, value in series.items():
                rows.setdefault(at, {})[name] = value
    except StatisticError as error:
        raise InvalidParameterValue(str(error)) from error
    return ActionResult(
        {"Label": metric.name, "Datapoints": [_Told(at, unit, values) for at, values in sorted(rows.items())]}
    )


_moto_get_data = CloudWatchBackend.get_metric_data
_moto_get_statistics = CloudWatchResponse.get_metric_statistics


def install() -> None:
    """Answer so."""
    extend(CloudWatchBackend, "get_metric_data", _get_metric_data)
    extend(CloudWatchResponse, "get_metric_statistics", _get_metric_statistics)
