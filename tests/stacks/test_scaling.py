"""When a pool grows, shrinks and wakes up, read off the synthesized JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stacks.alarm import PoolMetrics
from stacks.scaling import ScalingPlan
from tests.stacks.synthesized import REPOSITORY, environment, synthesize
from user_data import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow
EXAMPLE = REPOSITORY / "environments" / "example.toml"
WORKERS = "workers-default"
GROUP = "${aws_autoscaling_group.group.name}-"  # what the group's name is to Terraform


def resources(overrides: Mapping[str, object] | None = None) -> dict[str, Any]:
    stacks = synthesize(EXAMPLE, overrides).stacks if overrides else environment("example").stacks
    found: dict[str, Any] = stacks[WORKERS]["resource"]
    return found


def alarms(found: dict[str, Any]) -> dict[str, Any]:
    return {alarm["alarm_name"].removeprefix(GROUP): alarm for alarm in _named(found)}


def _named(found: dict[str, Any]) -> list[dict[str, Any]]:
    return list(found["aws_cloudwatch_metric_alarm"].values())


def policy_of(found: dict[str, Any], alarm: str) -> Any:
    """The policy that an alarm calls."""
    (arn,) = alarms(found)[alarm]["alarm_actions"]
    return found["aws_autoscaling_policy"][arn.split(".")[1]]


def plan(**changed: Any) -> ScalingPlan:
    at = PoolMetrics("Fleet", "demo", "default", "demo-workers-default")
    numbers = {
        "min_size": 1,
        "target_load": 10.0,
        "target_prompt_load": 60.0,
        "kv_usage_high_percent": 90,
        "scale_in_load_percent": 70,
        "scale_in_seconds": 600,
        "warmup_seconds": 300,
    }
    return ScalingPlan(metrics=at, **(numbers | changed))


def value(expression: str, **series: float) -> float:
    """What metric math makes of an expression where every series has data."""
    functions: dict[str, Any] = {"IF": lambda test, yes, no: yes if test else no, "FILL": lambda given, _: given}
    text = expression.replace(" AND ", " and ").replace(" OR ", " or ")
    return float(eval(text, {"__builtins__": {}}, functions | series))  # noqa: S307 - our own text, with no builtins


QUIET: dict[str, float] = {"in_flight": 6, "least": 2, "most": 2, "leaving": 0, "kv": 20, "prompts": 20}


@pytest.mark.parametrize(
    ("changed", "numbers", "may"),
    [
        ({}, {}, True),
        ({"in_flight": 7}, {}, False),  # 70 % of 10 on the one that stays
        ({"in_flight": 13, "least": 3, "most": 3}, {}, True),
        ({"in_flight": 0}, {}, True),
        ({"in_flight": 0, "least": 1, "most": 1}, {}, False),  # at the minimum
        ({"least": 2, "most": 2}, {"min_size": 2}, False),
        ({"in_flight": 0, "least": 0, "most": 0}, {}, False),  # all gone
        ({"most": 3}, {}, False),  # one came or left within this minute
        ({"leaving": 1}, {}, False),  # one still drains
        ({"kv": 45}, {}, False),  # 90 % on the one that stays
        ({"prompts": 21}, {}, False),  # 70 % of 60 on the one that stays
        ({"prompts": 21}, {"target_prompt_load": 0}, True),
        ({"kv": 45}, {"kv_usage_high_percent": 0}, True),
        ({"in_flight": 0, "least": 1, "most": 1, "rate": 0}, {"min_size": 0}, True),
        ({"in_flight": 0, "least": 1, "most": 1, "rate": 0.1}, {"min_size": 0}, False),
        ({"in_flight": 1, "least": 1, "most": 1, "rate": 0}, {"min_size": 0}, False),
        ({"in_flight": 0, "least": 0, "most": 0, "rate": 0}, {"min_size": 0}, False),
    ],
)
def test_a_worker_leaves_only_where_the_others_carry_its_share(
    changed: dict[str, float], numbers: dict[str, Any], may: bool
) -> None:
    assert value(plan(**numbers).may_leave, **(QUIET | changed)) == float(may)


def test_scale_in_takes_one_after_the_whole_quiet_time_and_never_without_data() -> None:
    found = resources()
    idle = alarms(found)["idle"]
    assert (idle["evaluation_periods"], idle["datapoints_to_alarm"]) == (2, 2)
    assert idle["treat_missing_data"] == "notBreaching"
    policy = policy_of(found, "idle")
    assert policy["step_adjustment"] == [{"metric_interval_lower_bound": "0", "scaling_adjustment": -1}]
    # The expression has no value where one of its series has none, but for what AWS publishes once a minute.
    (expression,) = [query["expression"] for query in idle["metric_query"] if "expression" in query]
    assert expression.count("FILL") == 2
    series = {query["id"]: query["metric"] for query in idle["metric_query"] if "metric" in query}
    assert set(series) == {"in_flight", "least", "most", "leaving", "kv", "prompts"}
    assert {one["period"] for one in series.values()} == {60}
    assert (series["in_flight"]["stat"], series["prompts"]["stat"]) == ("Maximum", "Average")
    assert series["in_flight"]["dimensions"] == {"Deployment": "sglang", "Pool": "default"}


def test_the_pool_grows_on_load_at_ten_seconds_and_never_shrinks_by_it() -> None:
    found = {}
    for policy in _tracking(resources()):
        tracking = policy["target_tracking_configuration"]
        metric = tracking["customized_metric_specification"]
        assert (metric["period"], metric["statistic"]) == (10, "Average")
        assert tracking["disable_scale_in"] is True
        assert policy["estimated_instance_warmup"] == 120
        found[metric["metric_name"]] = tracking["target_value"]
    assert found == {metrics.LOAD.name: 8, metrics.PROMPT_LOAD.name: 65}
    assert len(_tracking(resources({"workers[0].scaling.target_prompt_load": "0"}))) == 1


def _tracking(found: dict[str, Any]) -> list[dict[str, Any]]:
    policies = found["aws_autoscaling_policy"].values()
    return [one for one in policies if one["policy_type"] == "TargetTrackingScaling"]


def test_full_kv_memory_starts_one_worker_more_unless_that_is_switched_off() -> None:
    found = resources()
    full = alarms(found)["kv-full"]
    assert (full["metric_name"], full["period"], full["threshold"]) == (metrics.KV_USAGE.name, 10, 90)
    policy = policy_of(found, "kv-full")
    assert policy["step_adjustment"] == [{"metric_interval_lower_bound": "0", "scaling_adjustment": 1}]
    assert policy["estimated_instance_warmup"] == 120, "an alarm that stays on must not add one a minute"
    without = alarms(resources({"workers[0].scaling.kv_usage_high_percent": "0"}))
    assert "kv-full" not in without
    assert "kv" not in {query["id"] for query in without["idle"]["metric_query"]}


def test_an_empty_pool_is_woken_by_the_requests_that_the_router_refuses() -> None:
    found = resources({"min_size": "0", "served_model_name": "m-1"})
    assert policy_of(found, "wanted")["step_adjustment"][0]["scaling_adjustment"] == 1
    (expression,) = [query["expression"] for query in alarms(found)["wanted"]["metric_query"] if "expression" in query]
    assert value(expression, refused=1, ready=0, desired=0) == 1
    assert [value(expression, **case) for case in _not_wanted()] == [0, 0, 0]
    (refused,) = [one for one in found["aws_cloudwatch_log_metric_filter"].values() if "m-1" in one["pattern"]]
    counted = refused["metric_transformation"]
    assert (counted["name"], counted["namespace"]) == (metrics.REFUSED.name, "SGLangFleet/sglang/default")
    assert refused["log_group_name"] == "/sglang-fleet/sglang/router"
    assert "wanted" not in alarms(resources())


def _not_wanted() -> tuple[dict[str, float], ...]:
    return (
        {"refused": 0, "ready": 0, "desired": 0},
        {"refused": 1, "ready": 1, "desired": 0},
        {"refused": 1, "ready": 0, "desired": 1},  # one is on its way
    )


def test_schedules_set_limits_and_leave_the_rest_alone() -> None:
    schedules = (
        '[{name = "day", recurrence = "0 8 * * MON-FRI", time_zone = "Europe/Berlin", min_size = 2, max_size = 6},'
        ' {name = "night", recurrence = "0 20 * * *", min_size = 0}]'
    )
    found = resources({"workers[0].scaling.schedules": schedules})
    actions = {action["recurrence"]: action for action in found["aws_autoscaling_schedule"].values()}
    day, night = actions["0 8 * * MON-FRI"], actions["0 20 * * *"]
    assert (day["min_size"], day["max_size"], day["desired_capacity"], day["time_zone"]) == (2, 6, -1, "Europe/Berlin")
    assert (night["min_size"], night["max_size"], night["desired_capacity"], night["time_zone"]) == (0, -1, -1, "UTC")
    group = found["aws_autoscaling_group"]["group"]
    left_alone = group["lifecycle"]["ignore_changes"]
    assert left_alone == ["desired_capacity", "suspended_processes", "min_size", "max_size"], "or an apply undoes them"
