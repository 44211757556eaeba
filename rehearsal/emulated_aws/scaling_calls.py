"""What moto's Auto Scaling backend does for a group that the life cycle leads: it asks, settles, and shows."""

from __future__ import annotations

from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import (
    AutoScalingBackend,
    DetachInstanceActivity,
    EnterStandbyActivity,
    ExitStandbyActivity,
    FakeAutoScalingGroup,
    InstanceState,
)

from rehearsal.emulated_aws.extension import extend
from rehearsal.emulated_aws.life_cycle.group import Group, GroupError
from rehearsal.emulated_aws.life_cycle.states import Subnet
from rehearsal.emulated_aws.scaling_groups import (
    WORLD,
    group_of,
    led,
    led_groups,
    settle,
    settle_all,
    template_of,
    warm_instances,
)


def group_with(backend: AutoScalingBackend, instance_id: str) -> tuple[FakeAutoScalingGroup, Group]:
    """The led group that has an instance.

    Raises:
        ValidationError: none has, in the words of AWS.
    """
    for owner in led_groups(backend):
        group = group_of(owner)
        if instance_id in group.members:
            return owner, group
    raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")


def named(backend: AutoScalingBackend, name: str) -> FakeAutoScalingGroup:
    """A group by its name.

    Raises:
        ValidationError: there is none.
    """
    owner = backend.autoscaling_groups.get(name)
    if owner is None:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return owner


def _group_set_desired_capacity(self: FakeAutoScalingGroup, new_capacity: int | None) -> None:
    if not led(self):
        _moto_group_set(self, new_capacity)
        return
    with WORLD.lock:
        wanted = int(self.min_size or 0) if new_capacity is None else int(new_capacity)
        group = group_of(self)
        made = self.name in self.autoscaling_backend.autoscaling_groups
        limits = f"to min: {self.min_size}, max: {self.max_size}, desired: {wanted}"
        request = f"a user request update of AutoScalingGroup constraints {limits}" if made else ""
        group.set_desired(wanted, WORLD.clock.now(), request or "a user request created an AutoScalingGroup")
        self.desired_capacity = wanted
        settle(self)


def _group_update(
    self: FakeAutoScalingGroup,
    desired_capacity: int | None = None,
    max_size: int | None = None,
    min_size: int | None = None,
    **rest: Any,  # noqa: ANN401 - handed through
) -> None:
    """API_UpdateAutoScalingGroup.html: new limits pull the desired capacity along; what is not given stays.

    Unlike in moto, whose update without a mixed instances policy takes the policy away.
    """
    if not led(self):
        _moto_group_update(self, desired_capacity=desired_capacity, max_size=max_size, min_size=min_size, **rest)
        return
    least = int((self.min_size if min_size is None else min_size) or 0)
    most = int((self.max_size if max_size is None else max_size) or 0)
    if desired_capacity is not None and not least <= desired_capacity <= most:
        raise ValidationError(
            f"Desired capacity:{desired_capacity} must be between the specified min size:{least} and max size:{most}"
        )
    policy = self.mixed_instances_policy
    _moto_group_update(self, desired_capacity=None, max_size=None, min_size=None, **rest)
    if not any(rest.get(key) for key in ("launch_template", "launch_config_name", "mixed_instances_policy")):
        self.mixed_instances_policy = policy
    self.min_size, self.max_size = least, most
    wanted = int(self.desired_capacity or 0) if desired_capacity is None else desired_capacity
    self.set_desired_capacity(min(max(wanted, least), most))


def _set_desired_capacity(self: AutoScalingBackend, group_name: str, desired_capacity: int | None) -> None:
    owner = named(self, group_name)
    if not led(owner) or desired_capacity is None:
        _moto_set(self, group_name, desired_capacity)
        return
    least, most = int(owner.min_size or 0), int(owner.max_size or 0)
    if desired_capacity < least:
        raise ValidationError(
            f"New SetDesiredCapacity value {desired_capacity} is below min value {least} for the AutoScalingGroup."
        )
    if desired_capacity > most:
        raise ValidationError(
            f"New SetDesiredCapacity value {desired_capacity} is above max value {most} for the AutoScalingGroup."
        )
    with WORLD.lock:
        group_of(owner).set_desired(desired_capacity, WORLD.clock.now())
        settle(owner)


def _describe_auto_scaling_groups(
    self: AutoScalingBackend, names: list[str], filters: list[dict[str, str]] | None = None
) -> list[FakeAutoScalingGroup]:
    settle_all(self)
    return _moto_describe_groups(self, names, filters)


def _describe_auto_scaling_instances(self: AutoScalingBackend, instance_ids: list[str]) -> list[InstanceState]:
    """Those of warm pools too, as in AWS (API_AutoScalingInstanceDetails.html lists their states)."""
    settle_all(self)
    warm = [state for owner in led_groups(self) for state in warm_instances(owner)]
    wanted = [state for state in warm if not instance_ids or state.instance_id in instance_ids]
    return _moto_describe_instances(self, instance_ids) + wanted


def _delete_lifecycle_hook(self: AutoScalingBackend, as_name: str, name: str) -> None:
    _moto_delete_hook(self, as_name, name)
    owner = self.autoscaling_groups.get(as_name)
    if owner is not None and led(owner):
        with WORLD.lock:
            group_of(owner).drop_hook(name, WORLD.clock.now())
            settle(owner)


def _delete_auto_scaling_group(self: AutoScalingBackend, group_name: str) -> None:
    """API_DeleteAutoScalingGroup.html, as with ForceDelete: no hook is waited for, nothing is waited for at all."""
    owner = named(self, group_name)
    if not led(owner):
        _moto_delete(self, group_name)
        return
    with WORLD.lock:
        group = group_of(owner)
        for name in tuple(group.members):
            group.compute.terminate(name)
        group.members.clear()
        owner.instance_states = []
        self.autoscaling_groups.pop(group_name)
        for key, hook in tuple(self.lifecycle_hooks.items()):
            if hook.auto_scaling_group_name == group_name:
                del self.lifecycle_hooks[key]


def _notify_terminate_instances(self: AutoScalingBackend, instance_ids: list[str]) -> None:
    if any(not led(owner) for owner in self.autoscaling_groups.values()):
        _moto_notify(self, instance_ids)
    settle_all(self)


def _attach_instances(self: AutoScalingBackend, group_name: str, instance_ids: list[str]) -> None:
    owner = named(self, group_name)
    if not led(owner):
        _moto_attach(self, group_name, instance_ids)
        return
    with WORLD.lock:
        group = group_of(owner)
        for instance_id in instance_ids:
            instance = self.ec2_backend.get_instance(instance_id)
            subnet = Subnet(str(instance.subnet_id), str(instance.placement.zone))
            instance.autoscaling_group = owner  # type: ignore[attr-defined]
            try:
                group.attach(instance_id, subnet, template_of(owner), WORLD.clock.now())
            except GroupError as error:
                raise ValidationError(str(error)) from error
            self.ec2_backend.create_tags([instance_id], {"aws:autoscaling:groupName": owner.name})
        settle(owner)


def _detach_instances(
    self: AutoScalingBackend,
    group_name: str,
    instance_ids: list[str],
    should_decrement: bool,  # noqa: FBT001 - moto's signature
) -> list[DetachInstanceActivity]:
    owner = named(self, group_name)
    if not led(owner):
        return _moto_detach(self, group_name, instance_ids, should_decrement)
    with WORLD.lock:
        group, activities = group_of(owner), []
        for instance_id in instance_ids:
            _refusing(lambda name=instance_id: group.detach(name, decrement=should_decrement))
            self.ec2_backend.delete_tags([instance_id], {"aws:autoscaling:groupName": owner.name})
            activities.append(DetachInstanceActivity(self.ec2_backend.get_instance(instance_id)))
        settle(owner)
        return activities


def _refusing(request: Any) -> None:  # noqa: ANN401 - any call without arguments
    """Make a request, and answer what the group refuses as AWS does."""
    try:
        request()
    except GroupError as error:
        raise ValidationError(str(error)) from error


def _enter_standby(
    self: AutoScalingBackend,
    group_name: str,
    instance_ids: list[str],
    should_decrement: bool,  # noqa: FBT001 - moto's signature
) -> list[EnterStandbyActivity]:
    owner = named(self, group_name)
    if not led(owner):
        return _moto_enter(self, group_name, instance_ids, should_decrement)
    with WORLD.lock:
        group, activities = group_of(owner), []
        for instance_id in instance_ids:
            before = group.desired
            _refusing(lambda name=instance_id: group.enter_standby(name, decrement=should_decrement))
            owner.desired_capacity = group.desired
            activities.append(EnterStandbyActivity(self.ec2_backend.get_instance(instance_id), before))
        settle(owner)
        return activities


def _exit_standby(self: AutoScalingBackend, group_name: str, instance_ids: list[str]) -> list[ExitStandbyActivity]:
    owner = named(self, group_name)
    if not led(owner):
        return _moto_exit(self, group_name, instance_ids)
    with WORLD.lock:
        group, activities = group_of(owner), []
        for instance_id in instance_ids:
            before = group.desired
            _refusing(lambda name=instance_id: group.exit_standby(name, WORLD.clock.now()))
            owner.desired_capacity = group.desired
            activities.append(ExitStandbyActivity(self.ec2_backend.get_instance(instance_id), before))
        settle(owner)
        return activities


def _set_instance_protection(
    self: AutoScalingBackend,
    group_name: str,
    instance_ids: list[str],
    protected_from_scale_in: bool | None,  # noqa: FBT001
) -> None:
    owner = named(self, group_name)
    if not led(owner):
        _moto_protect(self, group_name, instance_ids, protected_from_scale_in)
        return
    with WORLD.lock:
        for instance_id in instance_ids:
            group_with(self, instance_id)[1].members[instance_id].protected = bool(protected_from_scale_in)
        settle(owner)


def _put_warm_pool(self: AutoScalingBackend, group_name: str, **configuration: Any) -> None:  # noqa: ANN401 - handed through
    _moto_put_warm_pool(self, named(self, group_name).name, **configuration)
    settle_all(self)


def _delete_warm_pool(self: AutoScalingBackend, group_name: str) -> None:
    named(self, group_name).warm_pool = None
    settle_all(self)


def _launch_template(self: InstanceState) -> dict[str, Any] | None:
    shown: dict[str, Any] | None = _moto_launch_template(self)
    version = getattr(self, "rehearsal_version", None)
    return shown if shown is None or version is None else {**shown, "Version": str(version)}


_moto_launch_template = InstanceState.launch_template.fget  # type: ignore[attr-defined]
_moto_group_set = FakeAutoScalingGroup.set_desired_capacity
_moto_group_update = FakeAutoScalingGroup.update
_moto_set = AutoScalingBackend.set_desired_capacity
_moto_describe_groups = AutoScalingBackend.describe_auto_scaling_groups
_moto_describe_instances = AutoScalingBackend.describe_auto_scaling_instances
_moto_delete_hook = AutoScalingBackend.delete_lifecycle_hook
_moto_delete = AutoScalingBackend.delete_auto_scaling_group
_moto_notify = AutoScalingBackend.notify_terminate_instances
_moto_attach = AutoScalingBackend.attach_instances
_moto_detach = AutoScalingBackend.detach_instances
_moto_enter = AutoScalingBackend.enter_standby_instances
_moto_exit = AutoScalingBackend.exit_standby_instances
_moto_put_warm_pool = AutoScalingBackend.put_warm_pool
_moto_protect = AutoScalingBackend.set_instance_protection


def install() -> None:
    """Put the life cycle behind moto's calls."""
    setattr(InstanceState, "launch_template", property(_launch_template))  # noqa: B010 - a property, not a method
    extend(FakeAutoScalingGroup, "set_desired_capacity", _group_set_desired_capacity)
    extend(FakeAutoScalingGroup, "update", _group_update)
    extend(AutoScalingBackend, "set_desired_capacity", _set_desired_capacity)
    extend(AutoScalingBackend, "describe_auto_scaling_groups", _describe_auto_scaling_groups)
    extend(AutoScalingBackend, "describe_auto_scaling_instances", _describe_auto_scaling_instances)
    extend(AutoScalingBackend, "delete_auto_scaling_group", _delete_auto_scaling_group)
    extend(AutoScalingBackend, "delete_lifecycle_hook", _delete_lifecycle_hook)
    extend(AutoScalingBackend, "notify_terminate_instances", _notify_terminate_instances)
    extend(AutoScalingBackend, "attach_instances", _attach_instances)
    extend(AutoScalingBackend, "detach_instances", _detach_instances)
    extend(AutoScalingBackend, "enter_standby_instances", _enter_standby)
    extend(AutoScalingBackend, "exit_standby_instances", _exit_standby)
    extend(AutoScalingBackend, "set_instance_protection", _set_instance_protection)
    extend(AutoScalingBackend, "put_warm_pool", _put_warm_pool)
    extend(AutoScalingBackend, "delete_warm_pool", _delete_warm_pool)
