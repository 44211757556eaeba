"""Who is told when: alarms, what they look at, and that none is on in a deployment that has just begun."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.host_log import NOT_READY
from stacks import pool_alarms
from tests.stacks.synthesized import ENVIRONMENTS, REPOSITORY, environment
from tests.stacks.test_scaling import GROUP, alarms, resources, value
from user_data import metrics
from user_data.metrics import log_namespace

pytestmark = pytest.mark.slow


def told(name: str, stack: str) -> dict[str, Any]:
    """Alarms of a stack that call the topic, by name without the deployment's."""
    found = environment(name).stacks[stack]["resource"].get("aws_cloudwatch_metric_alarm", {}).values()
    return {alarm["alarm_name"]: alarm for alarm in found if "sns_topic" in "".join(alarm["alarm_actions"])}


def test_every_pool_router_and_log_group_is_watched() -> None:
    pool = {f"{GROUP}{kind}" for kind in ("boot-failures", "errors", "slow", "no-worker")}
    assert set(told("example", "workers-default")) == pool
    assert set(told("example", "router")) == {"sglang-router-0-recover", "sglang-router-down"}
    assert set(told("example", "logs")) == {
        f"sglang-{stack}-log-volume" for stack in ("network", "router", "workers-default")
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_alarm_takes_missing_data_for_a_fault(name: str) -> None:
    """A new deployment has no data: an alarm that took this for a breach would be on before the first host is up."""
    for alarm in environment(name).resources("aws_cloudwatch_metric_alarm"):
        assert alarm.body.get("treat_missing_data") != "breaching", alarm.address


def test_a_router_that_was_up_and_tells_nothing_any_more_is_missed() -> None:
    down = told("example", "router")["sglang-router-down"]
    assert (down["metric_name"], down["dimensions"]) == (metrics.ROUTER_UP.name, {"Deployment": "sglang"})
    assert (down["comparison_operator"], down["threshold"], down["evaluation_periods"]) == ("LessThanThreshold", 1, 3)
    # New alarms begin as INSUFFICIENT_DATA, so that only a change to it calls this.
    assert down["treat_missing_data"] == "missing"
    assert down["insufficient_data_actions"] == down["alarm_actions"]


@pytest.mark.parametrize(
    ("ready", "rate", "in_service", "on"),
    [
        (0, 0, 0, 0),  # the first worker boots
        (0, 2, 0, 1),  # refused
        (0, 0, 1, 1),  # in service, and the router cannot use it
        (1, 2, 1, 0),
    ],
)
def test_no_ready_worker_is_a_fault_where_one_is_missed(ready: int, rate: int, in_service: int, on: int) -> None:
    alarm = told("example", "workers-default")[f"{GROUP}no-worker"]
    (expression,) = [query["expression"] for query in alarm["metric_query"] if "expression" in query]
    assert value(expression, ready=ready, rate=rate, in_service=in_service) == on
    assert (alarm["evaluation_periods"], alarm["datapoints_to_alarm"]) == (3, 3)


def test_a_pool_that_may_be_empty_is_not_missed() -> None:
    assert "no-worker" not in alarms(resources({"min_size": "0"}))


def test_failed_boots_are_counted_where_the_alarm_looks() -> None:
    stack = environment("example").stacks["workers-default"]["resource"]
    filters = list(stack["aws_cloudwatch_log_metric_filter"].values())
    assert {one["pattern"] for one in filters} == {
        '{ $.event = "worker_not_ready" }',
        '"powering off so that the host is replaced"',
    }
    alarm = told("example", "workers-default")[f"{GROUP}boot-failures"]
    for one in filters:
        counted = one["metric_transformation"]
        assert (counted["namespace"], counted["name"]) == (alarm["namespace"], alarm["metric_name"])
        assert "dimensions" not in counted
        assert counted["default_value"] == "0"
        assert one["log_group_name"] == "/sglang-fleet/sglang/workers-default"
    assert alarm["namespace"] == log_namespace("SGLangFleet", "sglang", "default")


def test_what_the_filters_count_is_what_the_hosts_write() -> None:
    """The words are the agent's and boot.sh's: a change there must not silence the alarm."""
    assert NOT_READY in pool_alarms.NOT_READY
    text = (REPOSITORY / "user_data" / "boot.sh").read_text()
    assert pool_alarms.BOOT_LEFT.strip('"') in text


def test_percentiles_are_asked_for_as_such() -> None:
    slow = told("example", "workers-default")[f"{GROUP}slow"]
    assert slow["extended_statistic"] == "p90"
    assert "statistic" not in slow
    assert (slow["threshold"], slow["datapoints_to_alarm"], slow["evaluation_periods"]) == (2, 12, 15)


def test_log_volume_is_held_against_the_setting() -> None:
    alarm = told("example", "logs")["sglang-router-log-volume"]
    assert (alarm["threshold"], alarm["period"], alarm["statistic"]) == (5 * 1024**3, 86400, "Sum")
    assert alarm["dimensions"] == {"LogGroupName": "/sglang-fleet/sglang/router"}


def test_the_alarms_cost_what_the_docs_say() -> None:
    standard, high_resolution = 0.10, 0.30
    total = 2 * high_resolution  # those that target tracking makes
    for alarm in environment("example").resources("aws_cloudwatch_metric_alarm"):
        watched = [query for query in alarm.body.get("metric_query", ()) if "metric" in query]
        price = high_resolution if alarm.body.get("period") == 10 else standard
        total += price * (len(watched) or 1)
    text = (REPOSITORY / "docs" / "scaling.md").read_text()
    assert f"One pool and one router: {total:.2f} USD" in text
