"""Auto Scaling's API calls of the life cycle: hooks, health, activities, refresh, warm pool, termination.

What moto 5.2.5 does instead: CompleteLifecycleAction, RecordLifecycleActionHeartbeat and the instance refresh calls
raise NotImplementedError; hooks given with a new group are ignored; DescribeScalingActivities is always empty.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, LifecycleHook
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from rehearsal.emulated_aws.extension import add, extend
from rehearsal.emulated_aws.life_cycle import refresh as refreshing
from rehearsal.emulated_aws.life_cycle.activities import Activity
from rehearsal.emulated_aws.life_cycle.group import GroupError
from rehearsal.emulated_aws.life_cycle.hooks import HEARTBEAT_DEFAULT, Hook, HookError
from rehearsal.emulated_aws.life_cycle.refresh import Preferences, Refresh, RefreshError
from rehearsal.emulated_aws.scaling_calls import group_with, named
from rehearsal.emulated_aws.scaling_groups import WORLD, group_of, led, settle, settle_all, warm_instances

ACTIVITIES_PER_PAGE = 100  # API_DescribeScalingActivities.html: default and maximum of MaxRecords
REFRESHES_PER_PAGE = 50  # API_DescribeInstanceRefreshes.html: default of MaxRecords
HOOK_KEYS = ("NotificationTargetARN", "RoleARN", "NotificationMetadata")


class RefreshInProgressError(AutoscalingClientError):
    """Another refresh blocks this one."""

    code = "InstanceRefreshInProgress"


class NoActiveRefreshError(AutoscalingClientError):
    """There is no refresh to cancel."""

    code = "ActiveInstanceRefreshNotFound"


def _store_hook(backend: AutoScalingBackend, group: str, given: dict[str, Any]) -> None:
    """Keep a hook; what is not given stays as it was (API_PutLifecycleHook.html).

    Raises:
        ValidationError: AWS would refuse it.
    """
    name = str(given["LifecycleHookName"])
    old = backend.lifecycle_hooks.get(f"{group}_{name}")
    transition = given.get("LifecycleTransition") or (old.lifecycle_transition if old else "")
    timeout = int(given.get("HeartbeatTimeout") or (old.heartbeat_timeout if old else HEARTBEAT_DEFAULT))
    result = given.get("DefaultResult") or (old.default_result if old else "ABANDON")
    hook = Hook(name, str(transition), timeout, str(result))
    try:
        hook.check()
    except HookError as error:
        raise ValidationError(str(error)) from error
    kept = LifecycleHook(name, group, hook.transition, timeout, hook.default_result)
    kept.global_timeout = hook.global_seconds
    for key, attribute in zip(HOOK_KEYS, ("notification_target_arn", "role_arn", "notification_metadata"), strict=True):
        setattr(kept, attribute, given.get(key) or (getattr(old, attribute, None) if old else None))
    backend.lifecycle_hooks[f"{group}_{name}"] = kept


def _create_auto_scaling_group(self: AutoScalingResponse) -> ActionResult:
    """Hooks of the request are there before the first instance is (LifecycleHookSpecificationList)."""
    name = self._get_param("AutoScalingGroupName")
    backend = self.autoscaling_backend
    if name in backend.autoscaling_groups:
        raise AutoscalingClientError("AlreadyExists", f"AutoScalingGroup by this name already exists: {name}")
    with WORLD.lock:
        for given in self._get_param("LifecycleHookSpecificationList", []):
            _store_hook(backend, name, given)
        try:
            return _moto_create(self)
        finally:
            if name not in backend.autoscaling_groups:
                for hook in backend.describe_lifecycle_hooks(name):
                    backend.delete_lifecycle_hook(name, hook.name)


def _put_lifecycle_hook(self: AutoScalingResponse) -> ActionResult:
    owner = named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    _store_hook(self.autoscaling_backend, owner.name, self._get_params())
    return EmptyResult()


def _action(self: AutoScalingResponse) -> tuple[FakeAutoScalingGroup, dict[str, Any]]:
    owner = named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    if not led(owner):
        raise ValidationError("No active Lifecycle Action found")
    return owner, self._get_params()


def _complete_lifecycle_action(self: AutoScalingResponse) -> ActionResult:
    owner, given = _action(self)
    with WORLD.lock:
        group = settle(owner)  # what has expired is over before it can be completed
        try:
            group.complete(
                given["LifecycleHookName"],
                given["LifecycleActionResult"],
                WORLD.clock.now(),
                instance_id=given.get("InstanceId"),
                token=given.get("LifecycleActionToken"),
            )
        except HookError as error:
            raise ValidationError(str(error)) from error
        settle(owner)
    return EmptyResult()


def _record_lifecycle_action_heartbeat(self: AutoScalingResponse) -> ActionResult:
    owner, given = _action(self)
    with WORLD.lock:
        group = settle(owner)
        try:
            _, wait = group.wait_of(
                given["LifecycleHookName"], given.get("InstanceId"), given.get("LifecycleActionToken")
            )
        except HookError as error:
            raise ValidationError(str(error)) from error
        wait.beat(WORLD.clock.now())
    return EmptyResult()


def _set_instance_health(self: AutoScalingResponse) -> ActionResult:
    instance_id, status = self._get_param("InstanceId"), self._get_param("HealthStatus")
    if status not in {"Healthy", "Unhealthy"}:
        raise ValidationError(f"Invalid value '{status}' for HealthStatus: valid are Healthy and Unhealthy")
    backend = self.autoscaling_backend
    if any(not led(owner) for owner in backend.autoscaling_groups.values()):
        return _moto_set_health(self)
    with WORLD.lock:
        owner, group = group_with(backend, instance_id)
        respect = self._get_bool_param("ShouldRespectGracePeriod", if_none=True)
        group.set_health(instance_id, WORLD.clock.now(), healthy=status == "Healthy", respect_grace=bool(respect))
        settle(owner)
    return EmptyResult()


def _activity(owner: FakeAutoScalingGroup, activity: Activity) -> dict[str, Any]:
    return {
        "ActivityId": activity.id,
        "AutoScalingGroupName": owner.name,
        "AutoScalingGroupARN": owner.arn,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.start,
        "EndTime": activity.end,
        "StatusCode": activity.status,
        "StatusMessage": activity.message,
        "Progress": activity.progress,
        "Details": activity.details,
    }


def _page(rows: list[dict[str, Any]], token: str | None, size: int) -> tuple[list[dict[str, Any]], str | None]:
    start = int(token or 0)
    return rows[start : start + size], str(start + size) if len(rows) > start + size else None


def _describe_scaling_activities(self: AutoScalingResponse) -> ActionResult:
    """Newest first, as AWS lists them."""
    backend = self.autoscaling_backend
    name, wanted = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
    with WORLD.lock:
        settle_all(backend)
        owners = [named(backend, name)] if name else list(backend.autoscaling_groups.values())
        found = [(owner, activity) for owner in owners if led(owner) for activity in group_of(owner).log.entries]
        rows = [_activity(owner, activity) for owner, activity in reversed(found)]
    rows.sort(key=lambda row: row["StartTime"], reverse=True)
    rows = [row for row in rows if not wanted or row["ActivityId"] in wanted]
    size = self._get_int_param("MaxRecords") or ACTIVITIES_PER_PAGE
    page, token = _page(rows, self._get_param("NextToken"), size)
    return ActionResult({"Activities": page, "NextToken": token})


def _terminate_instance(self: AutoScalingResponse) -> ActionResult:
    """API_TerminateInstanceInAutoScalingGroup.html: one InstanceId, or up to a hundred InstanceIds."""
    decrement = bool(self._get_bool_param("ShouldDecrementDesiredCapacity", if_none=False))
    one, many = self._get_param("InstanceId"), self._get_param("InstanceIds", [])
    rows = []
    with WORLD.lock:
        for instance_id in many or [one]:
            owner, group = group_with(self.autoscaling_backend, instance_id)
            try:
                activity = group.terminate(instance_id, WORLD.clock.now(), decrement=decrement)
            except GroupError as error:
                raise ValidationError(str(error)) from error
            rows.append(_activity(owner, activity))
            settle(owner)
    return ActionResult({"Activities": rows} if many else {"Activity": rows[0]})


def _describe_warm_pool(self: AutoScalingResponse) -> ActionResult:
    owner = named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    instances = []
    if led(owner):
        with WORLD.lock:
            settle(owner)
            instances = warm_instances(owner)
    return ActionResult({"WarmPoolConfiguration": owner.warm_pool, "Instances": instances})


def _preferences(given: dict[str, Any]) -> Preferences:
    def number(key: str) -> int | None:
        return int(given[key]) if given.get(key) is not None else None

    return Preferences(
        min_healthy=number("MinHealthyPercentage"),
        max_healthy=number("MaxHealthyPercentage"),
        warmup_seconds=number("InstanceWarmup"),
        skip_matching=bool(given.get("SkipMatching", False)),
        protected=str(given.get("ScaleInProtectedInstances") or "Wait"),
        standby=str(given.get("StandbyInstances") or "Wait"),
    )


def _start_instance_refresh(self: AutoScalingResponse) -> ActionResult:
    """A desired configuration becomes the group's own at once; AWS gives it to launches first, to the group last."""
    owner, given = named(self.autoscaling_backend, self._get_param("AutoScalingGroupName")), self._get_params()
    if not led(owner):
        raise ValidationError("An instance refresh of a rehearsal needs a group with a launch template and subnets")
    preferences: dict[str, Any] = given.get("Preferences") or {}
    desired: dict[str, Any] = given.get("DesiredConfiguration") or {}
    with WORLD.lock:
        if any(refresh.active for refresh in group_of(owner).refreshes):
            raise RefreshInProgressError(refreshing.IN_THE_WAY)
        if desired:
            policy = desired.get("MixedInstancesPolicy")
            owner.mixed_instances_policy = policy or owner.mixed_instances_policy
            owner._set_launch_configuration("", desired.get("LaunchTemplate", {}), policy)  # noqa: SLF001 - the only way
        refresh = refreshing.begin(settle(owner), _preferences(preferences), WORLD.clock.now())
        setattr(refresh, "rehearsal_request", given)  # noqa: B010 - what DescribeInstanceRefreshes gives back
        settle(owner)
    return ActionResult({"InstanceRefreshId": refresh.id})


def _refresh(name: str, refresh: Refresh) -> dict[str, Any]:
    given: dict[str, Any] = getattr(refresh, "rehearsal_request", {})
    ended: datetime | None = refresh.ended
    return {
        "InstanceRefreshId": refresh.id,
        "AutoScalingGroupName": name,
        "Status": refresh.status,
        "StatusReason": refresh.reason,
        "StartTime": refresh.started,
        "EndTime": ended,
        "PercentageComplete": refresh.percentage,
        "InstancesToUpdate": len(refresh.old),
        "Strategy": "Rolling",
        "Preferences": given.get("Preferences"),
        "DesiredConfiguration": given.get("DesiredConfiguration"),
    }


def _describe_instance_refreshes(self: AutoScalingResponse) -> ActionResult:
    owner = named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    wanted = self._get_param("InstanceRefreshIds", [])
    refreshes: list[Refresh] = []
    if led(owner):
        with WORLD.lock:
            refreshes = [refresh for refresh in settle(owner).refreshes if not wanted or refresh.id in wanted]
    rows = [_refresh(owner.name, refresh) for refresh in reversed(refreshes)]
    size = self._get_int_param("MaxRecords") or REFRESHES_PER_PAGE
    page, token = _page(rows, self._get_param("NextToken"), size)
    return ActionResult({"InstanceRefreshes": page, "NextToken": token})


def _cancel_instance_refresh(self: AutoScalingResponse) -> ActionResult:
    owner = named(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    with WORLD.lock:
        try:
            refresh = refreshing.cancel(settle(owner), WORLD.clock.now())
        except RefreshError as error:
            raise NoActiveRefreshError(str(error)) from error
        settle(owner)
    return ActionResult({"InstanceRefreshId": refresh.id})


_moto_create = AutoScalingResponse.create_auto_scaling_group
_moto_set_health = AutoScalingResponse.set_instance_health


def install() -> None:
    """Give moto these calls."""
    extend(AutoScalingResponse, "create_auto_scaling_group", _create_auto_scaling_group)
    extend(AutoScalingResponse, "put_lifecycle_hook", _put_lifecycle_hook)
    extend(AutoScalingResponse, "set_instance_health", _set_instance_health)
    extend(AutoScalingResponse, "describe_scaling_activities", _describe_scaling_activities)
    extend(AutoScalingResponse, "terminate_instance_in_auto_scaling_group", _terminate_instance)
    extend(AutoScalingResponse, "describe_warm_pool", _describe_warm_pool)
    add(AutoScalingResponse, "complete_lifecycle_action", _complete_lifecycle_action)
    add(AutoScalingResponse, "record_lifecycle_action_heartbeat", _record_lifecycle_action_heartbeat)
    add(AutoScalingResponse, "start_instance_refresh", _start_instance_refresh)
    add(AutoScalingResponse, "describe_instance_refreshes", _describe_instance_refreshes)
    add(AutoScalingResponse, "cancel_instance_refresh", _cancel_instance_refresh)
