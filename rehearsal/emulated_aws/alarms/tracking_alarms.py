"""The alarms that a target tracking policy makes for itself (EC2 Auto Scaling: as-scaling-target-tracking.html)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from moto.cloudwatch.models import CloudWatchBackend, Dimension, Metric, MetricDataQuery, MetricStat

from rehearsal.emulated_aws.alarms import target_tracking
from rehearsal.emulated_aws.alarms.evaluation import Rule
from rehearsal.emulated_aws.alarms.statistics import STANDARD_RESOLUTION

# API_PredefinedMetricSpecification.html, those of the group itself. Nobody publishes them in a rehearsal.
PREDEFINED = {
    "ASGAverageCPUUtilization": "CPUUtilization",
    "ASGAverageNetworkIn": "NetworkIn",
    "ASGAverageNetworkOut": "NetworkOut",
    "ALBRequestCountPerTarget": "RequestCountPerTarget",
}


def put_alarms(
    backend: CloudWatchBackend, policy_arn: str, names: Mapping[str, str], configuration: Mapping[str, Any]
) -> tuple[str, ...]:
    """Write the alarm that scales out and, unless DisableScaleIn is set, the one that scales in.

    With DisableScaleIn AWS documents that nothing is removed, not whether the second alarm is made: here it is not.

    Returns:
        Their names, of those in `names` by "High" and "Low".
    """
    target, period = float(configuration["TargetValue"]), period_of(configuration)
    rules = {"High": target_tracking.high_alarm(target, period)}
    if not configuration.get("DisableScaleIn"):
        rules["Low"] = target_tracking.low_alarm(target, period)
    for kind, rule in rules.items():
        backend.put_metric_alarm(
            name=names[kind],
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}.",
            alarm_actions=[policy_arn],
            **_rule(rule),
            **_watched(configuration, period),
        )
    return tuple(names[kind] for kind in rules)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "comparison_operator": rule.comparison,
        "threshold": rule.threshold,
        "evaluation_periods": rule.periods,
        "datapoints_to_alarm": rule.points,
    }


def period_of(configuration: Mapping[str, Any]) -> int:
    """The period of a policy's metric: 10, 30 or 60 s, the default (API_CustomizedMetricSpecification.html)."""
    custom: Mapping[str, Any] = configuration.get("CustomizedMetricSpecification") or {}
    stats = [one["MetricStat"] for one in custom.get("Metrics") or () if one.get("MetricStat")]
    found = [stat.get("Period") for stat in stats] or [custom.get("Period")]
    return max(int(period or STANDARD_RESOLUTION) for period in found)


def _watched(configuration: Mapping[str, Any], period: int) -> dict[str, Any]:
    """What the alarms look at, as moto keeps it."""
    custom: Mapping[str, Any] = configuration.get("CustomizedMetricSpecification") or {}
    if custom.get("Metrics"):
        queries = [_query(one, period) for one in custom["Metrics"]]
        nothing: dict[str, Any] = {
            "namespace": None,
            "metric_name": None,
            "statistic": None,
            "period": None,
            "dimensions": [],
        }
        return {"metric_data_queries": queries, **nothing}
    predefined = configuration.get("PredefinedMetricSpecification") or {}
    return {
        "namespace": custom.get("Namespace", "AWS/EC2"),
        "metric_name": custom.get("MetricName") or PREDEFINED[predefined["PredefinedMetricType"]],
        "dimensions": list(custom.get("Dimensions") or []),
        "statistic": custom.get("Statistic", "Average"),
        "unit": custom.get("Unit"),
        "period": period,
    }


def _query(given: Mapping[str, Any], period: int) -> MetricDataQuery:
    stat = given.get("MetricStat")
    found = None
    if stat:
        metric = stat["Metric"]
        dimensions = [Dimension(one["Name"], one["Value"]) for one in metric.get("Dimensions") or ()]
        found = MetricStat(
            Metric(metric["MetricName"], metric["Namespace"], dimensions), str(period), stat["Stat"], stat.get("Unit")
        )
    return MetricDataQuery(
        given["Id"],
        given.get("Label") or given["Id"],
        cast("str", None),
        given.get("ReturnData", True),
        given.get("Expression"),
        found,
    )
