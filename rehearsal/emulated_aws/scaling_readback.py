"""Groups and policies that read back as they were written, so that Terraform's next plan sees nothing to change.

What moto 5.2.5 does instead: DefaultInstanceWarmup, InstanceMaintenancePolicy and AvailabilityZoneDistribution are
dropped; DefaultCooldown, TerminationPolicies and CapacityRebalance of an update are ignored; a policy reads back
disabled and with an empty predictive configuration, and PutScalingPolicy answers without its ARN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from rehearsal.emulated_aws.alarms.policies import alarms_of
from rehearsal.emulated_aws.extension import extend
from rehearsal.emulated_aws.scaling_groups import led, settle

# Request field → attribute from which moto answers DescribeAutoScalingGroups.
KEPT = {
    "DefaultInstanceWarmup": "default_instance_warmup",
    "InstanceMaintenancePolicy": "instance_maintenance_policy",
    "AvailabilityZoneDistribution": "availability_zone_distribution",
    "DefaultCooldown": "default_cooldown",
    "HealthCheckGracePeriod": "health_check_grace_period",  # moto takes 0 for "not given" and makes 300 of it
    "TerminationPolicies": "termination_policies",
    "CapacityRebalance": "capacity_rebalance",
}
TAKEN_AWAY = -1  # API_UpdateAutoScalingGroup.html: the value with which a warm-up or a maintenance policy is removed


def _keep(group: FakeAutoScalingGroup, given: dict[str, Any]) -> None:
    for key, attribute in KEPT.items():
        value = given.get(key)
        if value in (None, []):
            continue
        percentages = value.values() if isinstance(value, dict) else ()
        gone = value == TAKEN_AWAY or any(percentage == TAKEN_AWAY for percentage in percentages)
        setattr(group, attribute, None if gone else value)


def _create_auto_scaling_group(self: AutoScalingResponse) -> ActionResult:
    answer = _BEFORE["create"](self)
    _keep(self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")], self._get_params())
    return answer


def _update_auto_scaling_group(self: AutoScalingResponse) -> ActionResult:
    group = self.autoscaling_backend.autoscaling_groups.get(self._get_param("AutoScalingGroupName"))
    if group is not None:
        _keep(group, self._get_params())
    answer = _BEFORE["update"](self)
    if group is not None and led(group):
        settle(group)
    return answer


def _put_scaling_policy(self: AutoScalingResponse) -> ActionResult:
    _BEFORE["policy"](self)
    given = self._get_params()
    policy = self.autoscaling_backend.policies[given["PolicyName"]]
    setattr(policy, "enabled", given.get("Enabled", True))  # noqa: B010 - moto's class does not declare it
    if not policy.predictive_scaling_configuration:
        policy.predictive_scaling_configuration = None  # type: ignore[assignment]
    return ActionResult({"PolicyARN": policy.arn, "Alarms": alarms_of(self.autoscaling_backend, policy)})


_BEFORE: dict[str, Callable[[AutoScalingResponse], ActionResult]] = {}


def install() -> None:
    """Have these fields kept. What was installed before for a call goes on being called."""
    _BEFORE["create"] = AutoScalingResponse.create_auto_scaling_group
    _BEFORE["update"] = AutoScalingResponse.update_auto_scaling_group
    _BEFORE["policy"] = AutoScalingResponse.put_scaling_policy
    extend(AutoScalingResponse, "create_auto_scaling_group", _create_auto_scaling_group)
    extend(AutoScalingResponse, "update_auto_scaling_group", _update_auto_scaling_group)
    extend(AutoScalingResponse, "put_scaling_policy", _put_scaling_policy)
