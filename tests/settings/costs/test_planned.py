"""What is deployed, priced from values as `terraform show -json` has them: blocks are lists, unset is -1 or null."""

from __future__ import annotations

from typing import Any

import pytest

from settings.costs.amount import Amount
from settings.costs.bill import change
from settings.costs.charge import bill_of
from settings.costs.estate import Spot, Warm
from settings.costs.planned import Planned, UntoldError, estate_of_resources

GROUP: dict[str, Any] = {
    "name": "sglang-workers-default",
    "min_size": 1,
    "max_size": 4,
    "desired_capacity": 3,
    "tag": [{"key": "sglang-fleet:pool", "value": "default", "propagate_at_launch": True}],
    "warm_pool": [{"pool_state": "Stopped", "min_size": 0, "max_group_prepared_capacity": -1}],
    "mixed_instances_policy": [],
}
ROOT = {"volume_size": 100, "iops": 3000, "throughput": 500, "volume_initialization_rate": 0}
MODEL = {"volume_size": None, "iops": 4000, "throughput": 1000, "volume_initialization_rate": 300}
TEMPLATE: dict[str, Any] = {
    "name": "sglang-workers-default",
    "instance_type": "g6e.xlarge",
    "block_device_mappings": [
        {"device_name": "/dev/sda1", "ebs": [ROOT]},
        {"device_name": "/dev/sdf", "ebs": [MODEL]},
    ],
}
DISTRIBUTION = {"on_demand_base_capacity": 1, "on_demand_percentage_above_base_capacity": 0}


def _resources(group: dict[str, Any] | None = None, template: dict[str, Any] | None = None) -> list[Planned]:
    return [
        Planned("aws_autoscaling_group", GROUP | (group or {})),
        Planned("aws_launch_template", TEMPLATE | (template or {})),
        Planned("aws_vpc", {"cidr_block": "10.0.0.0/16"}),
    ]


def test_a_pool_as_it_is_deployed() -> None:
    (pool,) = estate_of_resources("us-east-1", _resources(), {"default": 22}).pools
    assert (pool.name, pool.workers) == ("default", Amount(1, 3, 4))
    assert pool.warm == Warm(0, None, running=False)
    assert pool.waiting == Amount(3, 1, 0)
    assert pool.spot is None
    assert [(volume.role, volume.size_gib) for volume in pool.volumes] == [("root", 100), ("model", 22)]


def test_a_size_that_is_read_back_as_nothing_is_the_models() -> None:
    read_back = [{"device_name": "/dev/sdf", "ebs": [{**MODEL, "volume_size": 0}]}]
    (pool,) = estate_of_resources(
        "us-east-1", _resources(template={"block_device_mappings": read_back}), {"default": 22}
    ).pools
    assert [volume.size_gib for volume in pool.volumes] == [22]


def test_limits_move_the_size_that_a_group_has() -> None:
    (pool,) = estate_of_resources("us-east-1", _resources({"max_size": 2})).pools
    assert pool.workers == Amount(1, 2, 2)


def test_a_group_without_its_template_is_told() -> None:
    with pytest.raises(UntoldError, match="do not tell the hosts of group sglang-workers-default"):
        estate_of_resources("us-east-1", _resources(template={"name": "another"}))


def test_a_change_of_type_against_what_is_deployed() -> None:
    sizes = {"default": 22.0}
    before = bill_of(estate_of_resources("us-east-1", _resources(), sizes))
    after = bill_of(estate_of_resources("us-east-1", _resources(template={"instance_type": "g6e.2xlarge"}), sizes))
    told = {one.name: one.usd_per_hour("expected") for one in change(before, after)}
    assert told == pytest.approx({"workers, g6e.xlarge": -3 * 1.861, "workers, g6e.2xlarge": 3 * 2.24208})


def test_what_is_taken_away_costs_nothing_any_more() -> None:
    before = bill_of(estate_of_resources("us-east-1", _resources(), {"default": 22}))
    after = bill_of(estate_of_resources("us-east-1", []))
    gone = sum(one.usd_per_hour("expected") or 0.0 for one in change(before, after))
    assert after.lines == ()
    assert gone == pytest.approx(-before.total("expected").usd_per_hour, abs=0.001)


def test_spot_a_running_pool_and_schedules() -> None:
    changed = {
        "mixed_instances_policy": [{"instances_distribution": [DISTRIBUTION]}],
        "warm_pool": [{"pool_state": "Running", "min_size": 1, "max_group_prepared_capacity": 5}],
    }
    schedules = [
        Planned("aws_autoscaling_schedule", {"autoscaling_group_name": GROUP["name"], "min_size": 0, "max_size": -1}),
        Planned("aws_autoscaling_schedule", {"autoscaling_group_name": GROUP["name"], "min_size": 2, "max_size": 9}),
        Planned("aws_autoscaling_schedule", {"autoscaling_group_name": "another", "min_size": 0, "max_size": 99}),
    ]
    (pool,) = estate_of_resources("us-east-1", [*_resources(changed), *schedules]).pools
    assert pool.workers == Amount(0, 3, 9)
    assert pool.spot == Spot(1, 0)
    assert pool.on_demand == Amount(0, 1, 9)
    assert pool.waiting == Amount(5, 2, 1)


def test_a_group_that_is_to_be_made_has_its_least_size() -> None:
    (pool,) = estate_of_resources("us-east-1", _resources({"desired_capacity": None, "warm_pool": None})).pools
    assert pool.workers == Amount(1, 1, 4)
    assert pool.warm is None


def test_alarms_are_counted_by_metric_and_by_period() -> None:
    def alarm(period: int, *metrics: int) -> Planned:
        queries = [{"metric": [{"period": one}]} for one in metrics] + [{"metric": [], "expression": "a + b"}]
        values = {"period": None, "metric_query": queries} if metrics else {"period": period, "metric_query": []}
        return Planned("aws_cloudwatch_metric_alarm", values)

    tracking = {
        "target_tracking_configuration": [{"customized_metric_specification": [{"period": 10}]}],
    }
    step = Planned("aws_autoscaling_policy", {"target_tracking_configuration": []})
    resources = [alarm(60), alarm(10), alarm(0, 60, 60, 60), Planned("aws_autoscaling_policy", tracking), step]
    estate = estate_of_resources("us-east-1", resources)
    assert (estate.alarm_metrics, estate.fast_alarm_metrics) == (4, 2)


def test_a_plan_without_a_router_or_pools_is_no_fault() -> None:
    estate = estate_of_resources("us-east-1", [])
    assert (estate.routers, estate.pools) == (0, ())
    assert bill_of(estate).total("most").is_complete
