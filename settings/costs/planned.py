"""The estate as Terraform has it or plans it: counted from resources' values instead of settings.

So a bill can be made of what is deployed (the values before a change) and of a saved plan without its settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from settings.costs.amount import Amount
from settings.costs.estate import Estate, Pool, Spot, Volume, Warm

Values = Mapping[str, Any]
"""A resource's values as `terraform show -json` gives them; blocks are lists of one or more tables."""

POOL_TAG = "sglang-fleet:pool"
FAST_PERIOD = 60
"""CloudWatch: an alarm with a shorter period is a high-resolution one."""
ROOT_DEVICE = "/dev/sda1"


class UntoldError(ValueError):
    """The resources do not tell what a group's hosts are; the message says which group."""


@dataclass(frozen=True)
class Planned:
    """One resource: its Terraform type and its values."""

    kind: str
    values: Values


def estate_of_resources(
    region: str,
    resources: Iterable[Planned],
    model_gib: Mapping[str, float] | None = None,
    own_images: frozenset[str] = frozenset(),
) -> Estate:
    """Count what the resources of all stacks come to; `model_gib` has sizes that no resource tells, by pool.

    Raises:
        UntoldError: a group is not as the stacks of this project make one.
    """
    found = _Found(tuple(resources), model_gib or {})
    gateways = len(found.all("aws_nat_gateway"))
    endpoints = [one for one in found.all("aws_vpc_endpoint") if one.get("vpc_endpoint_type") == "Interface"]
    hosts = found.all("aws_instance")
    groups = found.all("aws_cloudwatch_log_group")
    return Estate(
        region=region,
        router_type=str(hosts[0]["instance_type"]) if hosts else "",
        routers=len(hosts),
        router_volume=_volume("root", _block(hosts[0], "root_block_device")) if hosts else Volume("root", 0, 0, 0),
        pools=tuple(found.pool(group) for group in found.all("aws_autoscaling_group")),
        nat_gateways=gateways,
        public_addresses=len(found.all("aws_eip")),
        endpoints=len(endpoints) * found.zones,
        logs_endpoint=any(str(one.get("service_name")).endswith(".logs") for one in endpoints),
        balancers=len(found.all("aws_lb")),
        flow_logs=bool(found.all("aws_flow_log")),
        retention_days=max((int(one.get("retention_in_days") or 0) for one in groups), default=0),
        alarm_metrics=sum(_alarm(one)[1] for one in found.all("aws_cloudwatch_metric_alarm") if not _alarm(one)[0]),
        fast_alarm_metrics=found.fast_alarm_metrics,
        dashboards=len(found.all("aws_cloudwatch_dashboard")),
        own_images=own_images,
    )


@dataclass(frozen=True)
class _Found:
    resources: tuple[Planned, ...]
    model_gib: Mapping[str, float]

    def all(self, kind: str) -> list[Values]:
        return [one.values for one in self.resources if one.kind == kind]

    @property
    def zones(self) -> int:
        """Every zone has a private subnet, and an endpoint an address in each."""
        return len({one.get("availability_zone") for one in self.all("aws_subnet")})

    @property
    def fast_alarm_metrics(self) -> int:
        """Own alarms, and the one that AWS makes for each policy that tracks a target on a short period."""
        own = sum(_alarm(one)[1] for one in self.all("aws_cloudwatch_metric_alarm") if _alarm(one)[0])
        tracking = (_block(one, "target_tracking_configuration") for one in self.all("aws_autoscaling_policy"))
        metrics = (_block(one, "customized_metric_specification") for one in tracking)
        return own + sum(0 < int(one.get("period") or 0) < FAST_PERIOD for one in metrics)

    def pool(self, group: Values) -> Pool:
        """A group with the launch template of the same name, and the limits that schedules set."""
        tags = {tag["key"]: tag["value"] for tag in _blocks(group, "tag")}
        name = str(tags.get(POOL_TAG, group.get("name")))
        template = self._template(group)
        schedules = [
            one
            for one in self.all("aws_autoscaling_schedule")
            if one.get("autoscaling_group_name") == group.get("name")
        ]
        least = min(_sizes("min_size", group, *schedules))
        most = max(_sizes("max_size", group, *schedules))
        desired = group.get("desired_capacity")
        expected = least if desired is None else min(max(int(desired), least), most)  # a group's limits move it
        return Pool(
            name=name,
            instance_type=str(template["instance_type"]),
            workers=Amount(least, expected, most),
            largest=most,
            volumes=self._volumes(name, template),
            warm=_warm(group),
            spot=_spot(group),
        )

    def _template(self, group: Values) -> Values:
        name = group.get("name")
        for one in self.all("aws_launch_template"):
            if one.get("name") == name and one.get("instance_type"):
                return one
        raise UntoldError(f"the plans do not tell the hosts of group {name}: no launch template of its name and type")

    def _volumes(self, pool: str, template: Values) -> tuple[Volume, ...]:
        mappings = {one["device_name"]: _block(one, "ebs") for one in _blocks(template, "block_device_mappings")}
        return tuple(
            _volume("root", ebs) if device == ROOT_DEVICE else _volume("model", ebs, self.model_gib.get(pool))
            for device, ebs in mappings.items()
        )


def _blocks(values: Values, name: str) -> list[Values]:
    found = values.get(name) or []
    return [found] if isinstance(found, Mapping) else list(found)


def _block(values: Values, name: str) -> Values:
    return next(iter(_blocks(values, name)), {})


def _sizes(name: str, *tables: Values) -> list[int]:
    """What is set; -1 in a schedule leaves a limit as it is."""
    return [int(table[name]) for table in tables if table.get(name) is not None and int(table[name]) >= 0]


def _volume(role: str, ebs: Values, otherwise: float | None = None) -> Volume:
    size = ebs.get("volume_size")  # the provider reads an unset one back as 0
    return Volume(
        role,
        float(size) if size else otherwise,
        int(ebs.get("iops") or 0),
        int(ebs.get("throughput") or 0),
        int(ebs.get("volume_initialization_rate") or 0),
    )


def _warm(group: Values) -> Warm | None:
    warm = _block(group, "warm_pool")
    if not warm:
        return None
    prepared = warm.get("max_group_prepared_capacity")
    unset = prepared is None or int(prepared) < 0  # the provider reads an unset one back as -1
    least = int(warm.get("min_size") or 0)
    return Warm(least, None if unset else int(prepared or 0), warm.get("pool_state") == "Running")


def _spot(group: Values) -> Spot | None:
    policy = _block(_block(group, "mixed_instances_policy"), "instances_distribution")
    if not policy:
        return None
    percent = policy.get("on_demand_percentage_above_base_capacity")
    return Spot(int(policy.get("on_demand_base_capacity") or 0), int(100 if percent is None else percent))


def _alarm(values: Values) -> tuple[bool, int]:
    """Whether an alarm is a high-resolution one, and how many metrics it looks at."""
    metrics = [metric for query in _blocks(values, "metric_query") for metric in _blocks(query, "metric")]
    periods = [int(one.get("period") or 0) for one in metrics] or [int(values.get("period") or 0)]
    return 0 < min(periods) < FAST_PERIOD, len(periods)
