"""Metrics, of hosts, groups and logs, through boto3, against the emulated AWS in this process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytest.importorskip("moto")

from tests.rehearsal.alarms.api.support import (
    DIMENSIONS,
    NAMESPACE,
    PERIOD,
    Site,
    boundary,
    client,
    now,
    query,
    to,
)

pytestmark = pytest.mark.slow  # importing moto takes two seconds


def data(site: Site, *queries: dict[str, Any]) -> dict[str, list[float]]:
    answer = site.watch.get_metric_data(
        MetricDataQueries=list(queries),
        StartTime=now() - timedelta(minutes=5),
        EndTime=now() + timedelta(seconds=1),
        ScanBy="TimestampAscending",
    )
    return {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}


def test_values_with_counts_and_statistic_sets_are_kept(site: Site) -> None:
    to(boundary(PERIOD) + timedelta(seconds=1))
    datum = {"MetricName": "Many", "Dimensions": DIMENSIONS, "Timestamp": now(), "StorageResolution": 1}
    site.watch.put_metric_data(Namespace=NAMESPACE, MetricData=[{**datum, "Values": [1.0, 5.0], "Counts": [3.0, 1.0]}])
    sums = {"SampleCount": 2.0, "Sum": 12.0, "Minimum": 4.0, "Maximum": 8.0}
    site.watch.put_metric_data(Namespace=NAMESPACE, MetricData=[{**datum, "StatisticValues": sums}])
    shown = {name: {**query(name, "Many", Stat=stat), "ReturnData": True} for name, stat in STATISTICS.items()}
    assert data(site, *shown.values()) == {"a": [20 / 6], "b": [20], "c": [6], "d": [8]}
    (row,) = site.watch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="Many",
        Dimensions=DIMENSIONS,
        StartTime=now() - timedelta(minutes=1),
        EndTime=now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum", "Maximum"],
    )["Datapoints"]
    assert (row["Sum"], row["Maximum"]) == (20, 8)


STATISTICS = {"a": "Average", "b": "Sum", "c": "SampleCount", "d": "Maximum"}


def test_a_standard_metric_is_not_seen_at_ten_seconds(site: Site) -> None:
    to(boundary(60) + timedelta(seconds=35))
    site.put("Slow", 4.0, StorageResolution=60)
    site.put("Fast", 4.0)
    answer = site.watch.get_metric_data(
        MetricDataQueries=[{**query(name, name.capitalize()), "ReturnData": True} for name in ("slow", "fast")],
        StartTime=now() - timedelta(minutes=2),
        EndTime=now() + timedelta(minutes=1),
    )
    slow, fast = (result["Timestamps"][0].second for result in answer["MetricDataResults"])
    assert (slow, fast) == (0, 30)


def test_the_dimensions_of_a_metric_are_part_of_it(site: Site) -> None:
    site.run(10, Load=3)
    other = [{**DIMENSIONS[0]}]
    site.watch.put_metric_data(
        Namespace=NAMESPACE, MetricData=[{"MetricName": "Load", "Dimensions": other, "Value": 99, "Timestamp": now()}]
    )
    assert data(site, {**query("m", "Load"), "ReturnData": True}) == {"m": [3]}
    listed = site.watch.list_metrics(Namespace=NAMESPACE, MetricName="Load")["Metrics"]
    assert other in [metric["Dimensions"] for metric in listed]


def test_metric_math_is_worked_out(site: Site) -> None:
    site.run(20, Flying=12, Ready=3)
    site.run(10, Flying=12, Ready=1)
    expression = {"Id": "e", "Expression": "flying / (ready - 1)", "ReturnData": True}
    assert data(site, query("flying", "Flying"), query("ready", "Ready"), expression) == {"e": [6, 6]}
    filled = {"Id": "e", "Expression": "SUM([FILL(flying, 0), 1 / 2])"}
    assert data(site, query("flying", "Flying"), filled)["e"][-4:] == [12.5, 12.5, 12.5, 0.5]
    with pytest.raises(ClientError, match=r"ValidationError.*Unsupported function 'RATE'"):
        data(site, query("flying", "Flying"), {"Id": "e", "Expression": "RATE(flying)"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(site: Site, value: float) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        site.put("Load", value)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        site.watch.put_metric_data(Namespace=NAMESPACE, MetricData=[{"MetricName": "Load", "Values": [1.0, value]}])
    assert data(site, {**query("m", "Load"), "ReturnData": True}) == {"m": []}


def statistic(site: Site, namespace: str, name: str, dimensions: dict[str, str]) -> list[float]:
    answer = site.watch.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now() - timedelta(minutes=10),
        EndTime=now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return [row["Sum"] for row in answer["Datapoints"]]


def test_a_group_publishes_what_is_enabled_every_minute(site: Site) -> None:
    site.aws.enable_metrics_collection(
        AutoScalingGroupName=site.name, Metrics=["GroupInServiceInstances"], Granularity="1Minute"
    )
    site.run(180)
    group = {"AutoScalingGroupName": site.name}
    assert statistic(site, "AWS/AutoScaling", "GroupInServiceInstances", group)[-3:] == [2, 2, 2]
    assert statistic(site, "AWS/AutoScaling", "GroupDesiredCapacity", group) == []
    asked = {"Namespace": "AWS/AutoScaling", "Dimensions": [{"Name": "AutoScalingGroupName", "Value": site.name}]}
    assert [found["MetricName"] for found in site.watch.list_metrics(**asked)["Metrics"]] == ["GroupInServiceInstances"]


def test_metric_filters_count_lines_and_logs_their_volume(server: None) -> None:  # noqa: ARG001 - it has to run
    logs, watch = client("logs"), client("cloudwatch")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    made = {"metricName": "Failures", "metricNamespace": "Fleet/d/p", "metricValue": "1", "unit": "Count"}
    for pattern in ('"powering off"', '{ $.event = "given_up" && $.pool = "p*" }'):
        for name in ("first", "again"):
            logs.put_metric_filter(
                logGroupName="g", filterName=f"f-{name}", filterPattern=pattern, metricTransformations=[made]
            )
    assert len(logs.describe_metric_filters(logGroupName="g")["metricFilters"]) == 2
    lines = ['{"event": "given_up", "pool": "p1"}', '{"event": "given_up", "pool": "q"}', '{"event": "up"}', "text"]
    stamp = int(now().timestamp() * 1000)
    logs.put_log_events(
        logGroupName="g", logStreamName="s", logEvents=[{"timestamp": stamp, "message": line} for line in lines]
    )
    site = Site("", None, watch)
    assert statistic(site, "Fleet/d/p", "Failures", {}) == [2]  # two filters, each of which counts the one line
    assert statistic(site, "AWS/Logs", "IncomingBytes", {"LogGroupName": "g"}) == [
        sum(len(line) + 26 for line in lines)
    ]
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.put_metric_filter(
            logGroupName="g", filterName="bad", filterPattern="{ $.a > 3 }", metricTransformations=[made]
        )


def test_a_default_value_is_counted_when_no_line_matches(server: None) -> None:  # noqa: ARG001 - it has to run
    logs, site = client("logs"), Site("", None, client("cloudwatch"))
    logs.create_log_group(logGroupName="d")
    logs.create_log_stream(logGroupName="d", logStreamName="s")
    made = {"metricName": "Failures", "metricNamespace": "Fleet/d/q", "metricValue": "1", "defaultValue": 0}
    logs.put_metric_filter(logGroupName="d", filterName="f", filterPattern='"off"', metricTransformations=[made])
    assert statistic(site, "Fleet/d/q", "Failures", {}) == [], "nothing comes in, nothing is counted"
    for lines, sums in ((["on"], [0]), (["off", "on"], [1])):
        stamp = int(now().timestamp() * 1000)
        events = [{"timestamp": stamp, "message": line} for line in lines]
        logs.put_log_events(logGroupName="d", logStreamName="s", logEvents=events)
        assert statistic(site, "Fleet/d/q", "Failures", {}) == sums


def test_saved_queries_are_kept_changed_and_deleted(server: None) -> None:  # noqa: ARG001 - it has to run
    logs = client("logs")
    made = logs.put_query_definition(name="q", queryString="fields @message", logGroupNames=["g"])["queryDefinitionId"]
    logs.put_query_definition(queryDefinitionId=made, name="q2", queryString="limit 1")
    (kept,) = logs.describe_query_definitions(queryDefinitionNamePrefix="q")["queryDefinitions"]
    assert (kept["queryDefinitionId"], kept["name"], kept["queryString"]) == (made, "q2", "limit 1")
    assert logs.describe_query_definitions(queryDefinitionNamePrefix="x")["queryDefinitions"] == []
    assert logs.delete_query_definition(queryDefinitionId=made)["success"] is True
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        logs.delete_query_definition(queryDefinitionId=made)
