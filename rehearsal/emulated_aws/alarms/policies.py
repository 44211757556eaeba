"""Scaling policies that act: target tracking with its alarms, step and simple scaling, ExecutePolicy.

What moto 5.2.5 does instead: a target tracking policy has no alarms and does nothing, ExecutePolicy of a step policy
crashes, and the policies and scheduled actions of a deleted group stay.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, FakeScalingPolicy, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.core.responses import ActionResult, EmptyResult

from rehearsal.emulated_aws.alarms import step_scaling, target_tracking
from rehearsal.emulated_aws.alarms.alarm_states import POLICIES, Signal
from rehearsal.emulated_aws.alarms.evaluation import State
from rehearsal.emulated_aws.alarms.step_scaling import Kind, Step
from rehearsal.emulated_aws.alarms.target_tracking import Capacity
from rehearsal.emulated_aws.alarms.tracking_alarms import put_alarms
from rehearsal.emulated_aws.extension import extend
from rehearsal.emulated_aws.life_cycle.group import Group
from rehearsal.emulated_aws.scaling_groups import WORLD, group_of, led, settle
from rehearsal.places import ACCOUNT_ID

log = logging.getLogger(__name__)

TRACKING, STEP, SIMPLE = "TargetTrackingScaling", "StepScaling", "SimpleScaling"
SUSPENDED = "AlarmNotification"  # as-suspend-resume-processes.html: alarms' notifications are not accepted
COOLDOWN_SECONDS = 300  # ec2-auto-scaling-scaling-cooldowns.html: the default cooldown


def capacity_of(group: Group, warmup_seconds: int, now: datetime) -> Capacity:
    """A group as a policy sees it.

    EC2 Auto Scaling: ec2-auto-scaling-default-instance-warmup.html. Warming are what is not there yet, what is not in
    service, and what has been in service for less than the warm-up.
    """
    members = [member for member in group.members.values() if member.state.counts]
    warm = sum(member.ready(now, warmup_seconds) for member in members)
    leaving = sum(member.state.leaving and not member.returns for member in group.members.values())
    spec = group.spec
    return Capacity(group.desired, spec.min_size, spec.max_size, max(0, group.desired - warm), leaving)


def carry_out(region: str, signal: Signal) -> None:
    """What a policy does when an alarm tells it its state."""
    backend = autoscaling_backends[ACCOUNT_ID][region]
    policy = next((one for one in list(backend.policies.values()) if one.arn == signal.policy), None)
    if policy is None:
        log.warning("alarm %s: there is no policy %s", signal.alarm, signal.policy)
        return
    owner = backend.autoscaling_groups.get(policy.auto_scaling_group_name)
    if owner is None or not led(owner) or not getattr(policy, "enabled", True):
        return
    if any(process["ProcessName"] == SUSPENDED for process in owner.suspended_processes):
        return
    now = WORLD.clock.now()
    capacity = capacity_of(settle(owner), warmup_of(policy, owner), now)
    wanted = _wanted(backend, policy, signal, capacity)
    why = f"a monitor alarm {signal.alarm} in state {signal.state.value} triggered policy {policy.name}"
    change(owner, wanted, why, now)


def change(owner: FakeAutoScalingGroup, wanted: int, why: str, now: datetime) -> None:
    """Give a group another desired capacity, with the cause that its activities tell."""
    group = group_of(owner)
    if wanted == group.desired:
        return
    log.info("group %s: %s, from %d to %d", owner.name, why, group.desired, wanted)
    group.set_desired(wanted, now, why)
    setattr(owner, "rehearsal_scaled", now)  # noqa: B010 - for the cooldown of simple scaling
    settle(owner)


def warmup_of(policy: FakeScalingPolicy, owner: FakeAutoScalingGroup) -> int:
    """The policy's warm-up, else the group's, else the default cooldown.

    API_PutScalingPolicy.html, EstimatedInstanceWarmup.
    """
    for given in (policy.estimated_instance_warmup, getattr(owner, "default_instance_warmup", None)):
        if given is not None:
            return int(given)
    return int(owner.default_cooldown or COOLDOWN_SECONDS)


def _wanted(backend: AutoScalingBackend, policy: FakeScalingPolicy, signal: Signal, capacity: Capacity) -> int:
    if policy.policy_type == TRACKING:
        return _tracked(backend, policy, signal, capacity)
    if policy.policy_type == STEP:
        value = signal.threshold if signal.value is None else signal.value  # an alarm that was set by hand
        return _stepped(policy, value - signal.threshold, capacity, above=signal.above)
    owner = backend.autoscaling_groups[policy.auto_scaling_group_name]
    return _simple(policy, owner, capacity)


def _tracked(backend: AutoScalingBackend, policy: FakeScalingPolicy, signal: Signal, capacity: Capacity) -> int:
    """EC2 Auto Scaling: as-scaling-target-tracking.html, also "Multiple target tracking scaling policies"."""
    configuration = tracking_of(policy)
    target = float(configuration["TargetValue"])
    if signal.state is not State.ALARM or signal.value is None:
        return capacity.desired
    if signal.above:
        return target_tracking.out(signal.value, target, capacity)
    agreed = all(_agrees(backend, other) for other in _siblings(backend, policy))
    return target_tracking.inward(signal.value, target, capacity) if agreed else capacity.desired


def tracking_of(policy: FakeScalingPolicy) -> dict[str, Any]:
    """The target tracking configuration of a policy, as it was written."""
    return dict(vars(policy.target_tracking_configuration)) if policy.target_tracking_configuration else {}


def _siblings(backend: AutoScalingBackend, policy: FakeScalingPolicy) -> Iterator[FakeScalingPolicy]:
    """The other policies of the group that must be ready to scale in: target tracking with scale-in."""
    for other in list(backend.policies.values()):
        same = other.auto_scaling_group_name == policy.auto_scaling_group_name and other.name != policy.name
        acts = other.policy_type == TRACKING and getattr(other, "enabled", True)
        if same and acts and not tracking_of(other).get("DisableScaleIn"):
            yield other


def _agrees(backend: AutoScalingBackend, policy: FakeScalingPolicy) -> bool:
    alarms = _cloudwatch(backend).alarms
    own = [alarms[name] for name in getattr(policy, "rehearsal_alarms", ()) if name in alarms]
    low = [alarm for alarm in own if alarm.comparison_operator == "LessThanThreshold"]
    return all(alarm.state_value == State.ALARM for alarm in low)


def _cloudwatch(backend: AutoScalingBackend) -> CloudWatchBackend:
    found: CloudWatchBackend = cloudwatch_backends[ACCOUNT_ID][backend.region_name]
    return found


def _stepped(policy: FakeScalingPolicy, difference: float, capacity: Capacity, *, above: bool) -> int:
    steps = [
        Step(
            int(one["ScalingAdjustment"]),
            _bound(one, "MetricIntervalLowerBound"),
            _bound(one, "MetricIntervalUpperBound"),
        )
        for one in cast("list[dict[str, Any]]", policy.step_adjustments or [])
    ]
    step = step_scaling.step_of(steps, difference, above=above)
    if step is None:
        return capacity.desired
    return step_scaling.stepped(cast("Kind", policy.adjustment_type), step, capacity, _least(policy))


def _bound(step: dict[str, Any], name: str) -> float | None:
    return None if step.get(name) is None else float(step[name])


def _least(policy: FakeScalingPolicy) -> int:
    return int(policy.min_adjustment_magnitude or 0)


def _simple(policy: FakeScalingPolicy, owner: FakeAutoScalingGroup, capacity: Capacity) -> int:
    """Simple scaling waits for the scaling activity and for its cooldown."""
    scaled: datetime | None = getattr(owner, "rehearsal_scaled", None)
    cooldown = policy.cooldown if policy.cooldown is not None else owner.default_cooldown
    if not step_scaling.cooled_down(scaled, int(cooldown or 0), WORLD.clock.now()):
        return capacity.desired
    return step_scaling.simple(
        cast("Kind", policy.adjustment_type), int(policy.scaling_adjustment or 0), capacity, _least(policy)
    )


def _execute_policy(self: AutoScalingResponse) -> ActionResult:
    """API_ExecutePolicy.html: of a step policy with the metric's value and the threshold."""
    given, backend = self._get_params(), self.autoscaling_backend
    policy = named_policy(backend, given["PolicyName"])
    owner = backend.autoscaling_groups.get(policy.auto_scaling_group_name)
    if owner is None or not led(owner):
        backend.execute_policy(policy.name)
        return EmptyResult()
    if policy.policy_type == TRACKING:
        raise ValidationError("Only simple and step scaling policies can be executed.")
    with WORLD.lock:
        now = WORLD.clock.now()
        capacity = capacity_of(settle(owner), warmup_of(policy, owner), now)
        if policy.policy_type == STEP:
            difference = float(given["MetricValue"]) - float(given["BreachThreshold"])
            wanted = _stepped(policy, difference, capacity, above=difference >= 0)
        else:
            wanted = _simple(policy, owner, capacity)
        change(owner, wanted, f"a user request executed policy {policy.name}", now)
    return EmptyResult()


def named_policy(backend: AutoScalingBackend, name: str) -> FakeScalingPolicy:
    """A policy by name or ARN.

    Raises:
        ValidationError: there is none.
    """
    for policy in list(backend.policies.values()):
        if name in {policy.name, policy.arn}:
            return policy
    raise ValidationError(f"No policy found for policyName {name}")


def _put_scaling_policy(self: AutoScalingBackend, name: str, **given: Any) -> FakeScalingPolicy:  # noqa: ANN401 - handed through
    """A target tracking policy makes its alarms and keeps them through updates (as-scaling-target-tracking.html)."""
    with WORLD.lock:
        before = self.policies.get(name)
        policy: FakeScalingPolicy = _moto_put(self, name=name, **given)
        kept: tuple[str, ...] = getattr(before, "rehearsal_alarms", ())
        made: tuple[str, ...] = ()
        if policy.policy_type == TRACKING:
            names = {kind: _alarm_name(kept, policy, kind) for kind in ("High", "Low")}
            made = put_alarms(_cloudwatch(self), policy.arn, names, tracking_of(policy))
        _cloudwatch(self).delete_alarms([alarm for alarm in kept if alarm not in made])
        setattr(policy, "rehearsal_alarms", made)  # noqa: B010 - moto's class does not declare it
        return policy


def _alarm_name(kept: tuple[str, ...], policy: FakeScalingPolicy, kind: str) -> str:
    prefix = f"TargetTracking-{policy.auto_scaling_group_name}-Alarm{kind}-"
    return next((name for name in kept if name.startswith(prefix)), f"{prefix}{uuid.uuid4()}")


def _describe_policies(self: AutoScalingBackend, *given: Any, **more: Any) -> list[FakeScalingPolicy]:  # noqa: ANN401 - handed through
    """With the alarms that call each policy (API_ScalingPolicy.html)."""
    found: list[FakeScalingPolicy] = _moto_describe(self, *given, **more)
    for policy in found:
        setattr(policy, "alarms", alarms_of(self, policy))  # noqa: B010 - moto's class does not declare it
    return found


def alarms_of(backend: AutoScalingBackend, policy: FakeScalingPolicy) -> list[dict[str, str]]:
    """The alarms whose actions name a policy."""
    return [
        {"AlarmName": alarm.name, "AlarmARN": alarm.alarm_arn}
        for alarm in list(_cloudwatch(backend).alarms.values())
        if policy.arn in (*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions)
    ]


def _delete_policy(self: AutoScalingBackend, group_name: str) -> None:
    """API_DeletePolicy.html: the alarms of a target tracking policy go with it. moto calls the policy `group_name`."""
    with WORLD.lock:
        policy = next((one for one in self.policies.values() if group_name in {one.name, one.arn}), None)
        if policy is not None:
            _cloudwatch(self).delete_alarms(list(getattr(policy, "rehearsal_alarms", ())))
            _moto_delete(self, policy.name)


def _delete_auto_scaling_group(self: AutoScalingBackend, group_name: str) -> None:
    """API_DeleteAutoScalingGroup.html: its policies and scheduled actions go with it."""
    _before["delete group"](self, group_name)
    for policy in [one for one in self.policies.values() if one.auto_scaling_group_name == group_name]:
        self.delete_policy(policy.name)
    for name, action in list(self.scheduled_actions.items()):
        if action.auto_scaling_group_name == group_name:
            del self.scheduled_actions[name]


_moto_put = AutoScalingBackend.put_scaling_policy
_moto_describe = AutoScalingBackend.describe_policies
_moto_delete = AutoScalingBackend.delete_policy
_before: dict[str, Any] = {}


def install() -> None:
    """Have policies act; after scaling_calls, whose deletion of a group goes on being called."""
    _before["delete group"] = AutoScalingBackend.delete_auto_scaling_group
    extend(AutoScalingBackend, "put_scaling_policy", _put_scaling_policy)
    extend(AutoScalingBackend, "describe_policies", _describe_policies)
    extend(AutoScalingBackend, "delete_policy", _delete_policy)
    extend(AutoScalingBackend, "delete_auto_scaling_group", _delete_auto_scaling_group)
    extend(AutoScalingResponse, "execute_policy", _execute_policy)
    POLICIES.append(carry_out)
