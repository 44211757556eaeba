"""One shape for every alarm: named series of metrics, and what is worked out of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import (
    CloudwatchMetricAlarm,
    CloudwatchMetricAlarmMetricQuery,
    CloudwatchMetricAlarmMetricQueryMetric,
)

from user_data.metrics import Metric, Publisher, log_namespace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

MINUTE = 60
GROUPS = "AWS/AutoScaling"
TRUE = 1


@dataclass(frozen=True)
class Series:
    """A metric under its dimensions, looked at with one statistic; `id` names it in an expression."""

    id: str
    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, str]

    def query(self, period: int) -> CloudwatchMetricAlarmMetricQuery:
        """The series as a part of a metric math alarm."""
        metric = CloudwatchMetricAlarmMetricQueryMetric(
            namespace=self.namespace,
            metric_name=self.name,
            dimensions=dict(self.dimensions),
            period=period,
            stat=self.statistic,
        )
        return CloudwatchMetricAlarmMetricQuery(id=self.id, metric=metric, return_data=False)


def incoming_bytes(log_group: str) -> Series:
    """What CloudWatch Logs publishes of a log group's volume, free of charge."""
    return Series("bytes", "AWS/Logs", "IncomingBytes", "Sum", {"LogGroupName": log_group})


@dataclass(frozen=True)
class PoolMetrics:
    """Where the metrics of one pool are."""

    namespace: str
    deployment: str
    pool: str
    group: str

    def series(self, identifier: str, metric: Metric, statistic: str | None = None) -> Series:
        """A metric of the catalogue, by default with the statistic that it is meant for."""
        counted = metric.publisher is Publisher.LOGS
        namespace = log_namespace(self.namespace, self.deployment, self.pool) if counted else self.namespace
        dimensions = metric.dimension_values(self.deployment, self.pool)
        return Series(identifier, namespace, metric.name, statistic or metric.statistic, dimensions)

    def group_series(self, identifier: str, name: str) -> Series:
        """What AWS publishes of the pool's group, once a minute and free of charge."""
        return Series(identifier, GROUPS, name, "Maximum", {"AutoScalingGroupName": self.group})


@dataclass(frozen=True)
class Condition:
    """When an alarm is on: `points` of the last `of` periods (seconds each) compare with the threshold like this."""

    threshold: float
    period: int
    points: int
    of: int
    operator: str = "GreaterThanThreshold"
    missing: str = "notBreaching"


@dataclass(frozen=True)
class Alarm:
    """An alarm to be: its name in the account, why it is on, and what it calls."""

    name: str
    description: str
    condition: Condition
    actions: tuple[str, ...]
    without_data: tuple[str, ...] = ()

    def on_metric(self, scope: Construct, construct_id: str, series: Series) -> None:
        """Watch one metric."""
        is_percentile = series.statistic.startswith("p")
        self._create(
            scope,
            construct_id,
            namespace=series.namespace,
            metric_name=series.name,
            dimensions=dict(series.dimensions),
            period=self.condition.period,
            statistic=None if is_percentile else series.statistic,
            extended_statistic=series.statistic if is_percentile else None,
        )

    def on_expression(self, scope: Construct, construct_id: str, expression: str, *series: Series) -> None:
        """Watch what an expression makes of several metrics."""
        result = CloudwatchMetricAlarmMetricQuery(id="holds", expression=expression, label=self.name, return_data=True)
        queries = [one.query(self.condition.period) for one in series]
        self._create(scope, construct_id, metric_query=[*queries, result])

    def _create(self, scope: Construct, construct_id: str, **watched: Any) -> None:  # noqa: ANN401 - the class checks
        condition = self.condition
        CloudwatchMetricAlarm(
            scope,
            construct_id,
            alarm_name=self.name,
            alarm_description=self.description,
            comparison_operator=condition.operator,
            threshold=condition.threshold,
            evaluation_periods=condition.of,
            datapoints_to_alarm=condition.points,
            treat_missing_data=condition.missing,
            alarm_actions=list(self.actions),
            insufficient_data_actions=list(self.without_data) or None,
            **watched,
        )


def holds(of: int, points: int | None = None) -> Condition:
    """The condition for an expression that is 1 where it holds and 0 elsewhere, in so many of the last minutes."""
    return Condition(TRUE, MINUTE, of if points is None else points, of, "GreaterThanOrEqualToThreshold")
