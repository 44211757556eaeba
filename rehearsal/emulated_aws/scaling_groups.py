"""moto's Auto Scaling groups led by the life cycle: each has a `Group` that decides, and moto shows what came out.

What moto 5.2.5 does instead: instances go to the first subnet and into service at once, hooks hold nothing, a warm
pool has no instances, an unhealthy one stays. Groups without a launch template or without subnets are left to moto.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState, autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance

from rehearsal.emulated_aws.groups import launch_one
from rehearsal.emulated_aws.life_cycle.compute import NoCapacityError, Power, Spec, WarmPool
from rehearsal.emulated_aws.life_cycle.group import Group
from rehearsal.emulated_aws.life_cycle.hooks import Hook
from rehearsal.emulated_aws.life_cycle.states import Member, Subnet, Template
from rehearsal.emulated_aws.market import Market
from rehearsal.places import ACCOUNT_ID

POWER = {
    "pending": Power.RUNNING,
    "running": Power.RUNNING,
    "stopping": Power.STOPPING,
    "stopped": Power.STOPPED,
    "shutting-down": Power.SHUTTING_DOWN,
    "terminated": Power.GONE,
}
NO_WARM_POOL_LIMIT = -1  # API_PutWarmPool.html: MaxGroupPreparedCapacity is taken away again with -1


@dataclass
class Clock:
    """The time of the emulated AWS: the real one, and what a test adds."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        """The time, UTC."""
        return datetime.now(UTC) + self.ahead


@dataclass
class World:
    """What all groups share. Requests come in threads of the server, ticks from the event loop: one lock for both."""

    clock: Clock = field(default_factory=Clock)
    market: Market = field(default_factory=Market)
    lock: threading.RLock = field(default_factory=threading.RLock)


WORLD = World()
ON_TICK: list[Callable[[str], None]] = []
"""What else happens when time passes in a region, under the world's lock: alarms, schedules."""


@dataclass
class Ec2:
    """The emulated EC2 for one group."""

    owner: FakeAutoScalingGroup
    instances: dict[str, Instance] = field(default_factory=dict)

    def launch(self, subnet: Subnet) -> str:
        """Launch the group's template in a subnet."""
        if subnet.zone in WORLD.market.without_capacity:
            raise NoCapacityError(subnet.zone)
        assert self.owner.ec2_launch_template is not None  # noqa: S101 - only such groups are led
        version = self.owner.ec2_launch_template.get_version(self.owner.launch_template_version)
        instance = launch_one(self.owner, version, subnet.id)
        self.instances[instance.id] = instance
        return str(instance.id)

    def start(self, instance_id: str) -> None:
        """Start it, if its zone has capacity."""
        instance = self.instance(instance_id)
        if instance.placement.zone in WORLD.market.without_capacity:
            raise NoCapacityError(instance.placement.zone)
        instance.start()

    def stop(self, instance_id: str) -> None:
        """Stop it."""
        self.instance(instance_id).stop()

    def terminate(self, instance_id: str) -> None:
        """Terminate it."""
        self.owner.ec2_backend.terminate_instances([instance_id])

    def power(self, instance_id: str) -> Power:
        """How it is now."""
        return POWER[self.instance(instance_id).state]

    def instance(self, instance_id: str) -> Instance:
        """The instance as moto has it; looked up once, since moto goes through all of them."""
        if instance_id not in self.instances:
            self.instances[instance_id] = self.owner.ec2_backend.get_instance(instance_id)
        return self.instances[instance_id]


def led(owner: FakeAutoScalingGroup) -> bool:
    """Whether this project's life cycle leads a group."""
    return owner.ec2_launch_template is not None and bool(owner.vpc_zone_identifier)


def group_of(owner: FakeAutoScalingGroup) -> Group:
    """The group that decides for one of moto's; made when first asked for."""
    found: Group | None = getattr(owner, "rehearsal_group", None)
    if found is None:
        found = Group(owner.name, spec_of(owner), Ec2(owner), lambda: str(uuid.uuid4()))
        setattr(owner, "rehearsal_group", found)  # noqa: B010 - moto's class does not declare it
    return found


def template_of(owner: FakeAutoScalingGroup) -> Template:
    """The launch template version that a launch takes now."""
    assert owner.ec2_launch_template is not None  # noqa: S101 - only such groups are led
    version = owner.ec2_launch_template.get_version(owner.launch_template_version)
    return Template(str(owner.ec2_launch_template.id), int(version.number))


def _hooks(owner: FakeAutoScalingGroup) -> tuple[Hook, ...]:
    known = owner.autoscaling_backend.describe_lifecycle_hooks(owner.name)
    return tuple(
        Hook(hook.name, hook.lifecycle_transition or "", int(hook.heartbeat_timeout), hook.default_result)
        for hook in known
    )


def _warm_pool(owner: FakeAutoScalingGroup) -> WarmPool | None:
    pool = getattr(owner, "warm_pool", None)  # a group that is being made has none yet
    if pool is None:
        return None
    most = pool.max_group_prepared_capacity
    reuse = bool((pool.instance_reuse_policy or {}).get("ReuseOnScaleIn", False))
    limit = None if most is None or int(most) == NO_WARM_POOL_LIMIT else int(most)
    return WarmPool(int(pool.min_size), limit, str(pool.pool_state), reuse)


def _subnets(owner: FakeAutoScalingGroup) -> tuple[Subnet, ...]:
    names = (owner.vpc_zone_identifier or "").split(",")
    found = {subnet.id: subnet for subnet in owner.ec2_backend.describe_subnets(subnet_ids=names)}
    return tuple(Subnet(name, str(found[name].availability_zone)) for name in names)


def spec_of(owner: FakeAutoScalingGroup) -> Spec:
    """Configuration of a group as moto keeps it."""
    maintenance: dict[str, Any] = getattr(owner, "instance_maintenance_policy", None) or {}
    return Spec(
        min_size=int(owner.min_size or 0),
        max_size=int(owner.max_size or 0),
        subnets=_subnets(owner),
        template=template_of(owner),
        instance_type=str(owner.instance_type),
        hooks=_hooks(owner),
        warm_pool=_warm_pool(owner),
        policies=tuple(owner.termination_policies),
        protect_new=bool(owner.new_instances_protected_from_scale_in),
        grace_seconds=int(owner.health_check_grace_period or 0),
        warmup_seconds=int(getattr(owner, "default_instance_warmup", None) or 0),
        min_healthy=maintenance.get("MinHealthyPercentage"),
        max_healthy=maintenance.get("MaxHealthyPercentage"),
        suspended=frozenset(str(process["ProcessName"]) for process in owner.suspended_processes),
        rebalance=bool(owner.capacity_rebalance),
    )


def settle(owner: FakeAutoScalingGroup) -> Group:
    """Carry out what is wanted of a group now, and have moto show it."""
    with WORLD.lock:
        group = group_of(owner)
        group.spec = spec_of(owner)
        group.tick(WORLD.clock.now())
        show(owner, group)
        return group


def show(owner: FakeAutoScalingGroup, group: Group) -> None:
    """Copy a group's instances into moto's records, from which every answer is made."""
    before = (owner.desired_capacity, [state.instance_id for state in owner.instance_states])
    known = {state.instance_id: state for state in owner.instance_states}
    members = [member for member in group.members.values() if not member.state.warmed]
    owner.instance_states = [_shown(group, member, known.get(member.id)) for member in members]
    owner.desired_capacity = group.desired
    after = (owner.desired_capacity, [state.instance_id for state in owner.instance_states])
    if after != before and owner.name in owner.autoscaling_backend.autoscaling_groups:
        owner.autoscaling_backend.update_attached_elbs(owner.name)
        owner.autoscaling_backend.update_attached_target_groups(owner.name)


def _shown(group: Group, member: Member, state: InstanceState | None) -> InstanceState:
    compute = group.compute
    assert isinstance(compute, Ec2)  # noqa: S101 - `group_of` makes no other
    shown = state or InstanceState(compute.instance(member.id), autoscaling_group=compute.owner)
    shown.lifecycle_state = member.shown
    shown.health_status = "Healthy" if member.healthy else "Unhealthy"
    shown.protected_from_scale_in = member.protected
    setattr(shown, "rehearsal_version", member.template.version)  # noqa: B010 - moto's class does not declare it
    return shown


def warm_instances(owner: FakeAutoScalingGroup) -> list[InstanceState]:
    """Instances of a group's warm pool, as DescribeWarmPool lists them."""
    group = group_of(owner)
    return [_shown(group, member, None) for member in group.members.values() if member.state.warmed]


def led_groups(backend: AutoScalingBackend) -> list[FakeAutoScalingGroup]:
    """The groups of a region that the life cycle leads."""
    return [owner for owner in list(backend.autoscaling_groups.values()) if led(owner)]


def settle_all(backend: AutoScalingBackend) -> None:
    """Let time pass for every group of a region."""
    for owner in led_groups(backend):
        settle(owner)


def _members(region: str) -> Iterator[tuple[Group, Member]]:
    for owner in led_groups(autoscaling_backends[ACCOUNT_ID][region]):
        group = group_of(owner)
        yield from ((group, member) for member in tuple(group.members.values()))


def target_states(region: str) -> dict[str, str]:
    """Target lifecycle state of every instance that is in a group."""
    return {
        member.id: member.target(group.spec.warm_pool.state if group.spec.warm_pool else "Stopped")
        for group, member in _members(region)
    }


def spot_notice(region: str, instance_id: str) -> None:
    """Tell an instance that EC2 takes it in two minutes, and its group.

    Raises:
        ValueError: there is no such instance.
    """
    with WORLD.lock:
        _check_exists(region, instance_id)
        now = WORLD.clock.now()
        WORLD.market.interrupt(instance_id, now)
        for group, member in _members(region):
            if member.id == instance_id:
                group.interrupted(instance_id, now)


def rebalance_recommendation(region: str, instance_id: str) -> None:
    """Tell an instance that it is at elevated risk of interruption, and its group.

    Raises:
        ValueError: there is no such instance.
    """
    with WORLD.lock:
        _check_exists(region, instance_id)
        WORLD.market.recommend_rebalance(instance_id, WORLD.clock.now())
        for group, member in _members(region):
            if member.id == instance_id:
                group.recommended(instance_id)


def _check_exists(region: str, instance_id: str) -> None:
    reservations = ec2_backends[ACCOUNT_ID][region].reservations.values()
    if not any(instance.id == instance_id for reservation in reservations for instance in reservation.instances):
        raise ValueError(f"there is no instance {instance_id}")


def tick(region: str) -> None:
    """Let time pass: Spot Instances whose two minutes are over go, groups and alarms do what they have to."""
    with WORLD.lock:
        backend = autoscaling_backends[ACCOUNT_ID][region]
        for instance_id in WORLD.market.due(WORLD.clock.now()):
            if POWER[backend.ec2_backend.get_instance(instance_id).state] not in {Power.SHUTTING_DOWN, Power.GONE}:
                backend.ec2_backend.terminate_instances([instance_id])
        settle_all(backend)
        for happen in ON_TICK:
            happen(region)
