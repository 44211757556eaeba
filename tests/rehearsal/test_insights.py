"""Saved queries and counting metric filters, through boto3 against a server in this process."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

moto_server = pytest.importorskip("moto.server")

from moto.logs.models import LogsBackend  # noqa: E402

from rehearsal.emulated_aws import insights  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow  # importing moto takes two seconds
GROUP = "/fleet/workers"
NAMESPACE = "Fleet/demo/default"


@pytest.fixture
def session() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("put_log_events", "put_metric_filter"):  # undone afterwards: other tests use moto too
            patch.setattr(LogsBackend, name, getattr(LogsBackend, name))
        insights.install()
        server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        account = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-3")
        yield lambda service: account.client(service, endpoint_url=f"http://{host}:{port}")
        server.stop()


def put_filter(logs: Any, pattern: str, name: str = "gave-up") -> None:
    transformation = {"metricName": "BootFailures", "metricNamespace": NAMESPACE, "metricValue": "1", "unit": "Count"}
    logs.put_metric_filter(
        logGroupName=GROUP, filterName=name, filterPattern=pattern, metricTransformations=[transformation]
    )


def counted_so_far(session: Any) -> float:
    end = datetime.now(UTC) + timedelta(minutes=1)
    answer = session("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="BootFailures",
        StartTime=end - timedelta(minutes=5),
        EndTime=end,
        Period=600,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def counted(session: Any, lines: list[str]) -> float:
    before, logs = counted_so_far(session), session("logs")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="i-1/agent")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines]
    logs.put_log_events(logGroupName=GROUP, logStreamName="i-1/agent", logEvents=events)
    return counted_so_far(session) - before


@pytest.fixture
def logs(session: Any) -> Iterator[Any]:
    client = session("logs")
    client.create_log_group(logGroupName=GROUP)
    yield client
    client.delete_log_group(logGroupName=GROUP)
    for found in client.describe_metric_filters()["metricFilters"]:
        client.delete_metric_filter(filterName=found["filterName"], logGroupName=found["logGroupName"])


def test_a_filter_counts_the_lines_with_these_fields(session: Any, logs: Any) -> None:
    put_filter(logs, '{ $.event = "worker_not_ready" && $.level = "error" }')
    lines = [
        '{"event": "worker_not_ready", "level": "error"}',
        '{"event": "worker_not_ready", "level": "info"}',
        '{"event": "worker_ready", "level": "error"}',
        "worker_not_ready error",
        '{"event": "worker_not_ready", "level": "error", "more": 1}',
    ]
    assert counted(session, lines) == 2


def test_a_filter_that_is_put_again_replaces_the_old_one(session: Any, logs: Any) -> None:
    put_filter(logs, '"powering"')
    put_filter(logs, '"powering off"')
    (found,) = logs.describe_metric_filters(logGroupName=GROUP)["metricFilters"]
    assert found["filterPattern"] == '"powering off"'
    assert counted(session, ["now powering off so that", "powering on"]) == 1


def test_a_pattern_that_would_never_be_evaluated_is_refused(logs: Any) -> None:
    with pytest.raises(logs.exceptions.InvalidParameterException, match="filterPattern"):
        put_filter(logs, "{ $.seconds > 5 }")


def test_a_saved_query_is_made_changed_listed_and_deleted(logs: Any) -> None:
    made = logs.put_query_definition(name="demo/slow", queryString="fields @message", logGroupNames=[GROUP])
    identifier = made["queryDefinitionId"]
    logs.put_query_definition(name="other/slow", queryString="fields @timestamp")
    again = logs.put_query_definition(queryDefinitionId=identifier, name="demo/slow", queryString="limit 1")
    assert again["queryDefinitionId"] == identifier
    (found,) = logs.describe_query_definitions(queryDefinitionNamePrefix="demo/")["queryDefinitions"]
    assert (found["queryString"], found["name"]) == ("limit 1", "demo/slow")
    assert logs.delete_query_definition(queryDefinitionId=identifier)["success"] is True
    assert [query["name"] for query in logs.describe_query_definitions()["queryDefinitions"]] == ["other/slow"]
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.delete_query_definition(queryDefinitionId=identifier)
