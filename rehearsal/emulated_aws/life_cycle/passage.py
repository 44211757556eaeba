"""An instance's way in and out: which state follows which, and what holds it in between."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rehearsal.emulated_aws.life_cycle import activities as said
from rehearsal.emulated_aws.life_cycle.activities import Activity
from rehearsal.emulated_aws.life_cycle.compute import NoCapacityError, Power
from rehearsal.emulated_aws.life_cycle.hooks import ABANDON, LAUNCHING, TERMINATING, begin
from rehearsal.emulated_aws.life_cycle.states import Member, State, Subnet

if TYPE_CHECKING:
    from rehearsal.emulated_aws.life_cycle.group import Group

# What a wait is called in each state that hooks can hold, and what follows when nothing holds it.
HELD = {
    State.PENDING: (State.PENDING_WAIT, State.PENDING_PROCEED, LAUNCHING),
    State.WARMED_PENDING: (State.WARMED_PENDING_WAIT, State.WARMED_PENDING_PROCEED, LAUNCHING),
    State.TERMINATING: (State.TERMINATING_WAIT, State.TERMINATING_PROCEED, TERMINATING),
    State.WARMED_TERMINATING: (State.WARMED_TERMINATING_WAIT, State.WARMED_TERMINATING_PROCEED, TERMINATING),
}
RELEASED = {wait: proceed for wait, proceed, _ in HELD.values()}


def record(group: Group, description: str, cause: str, subnet: Subnet, now: datetime) -> Activity:
    """Write an activity down. What the user asked for stands before what followed from it."""
    status = said.PRE_IN_SERVICE if description.startswith("Launching") else said.IN_PROGRESS
    text = f"{group.reason}  {cause}" if group.reason else cause
    return group.log.add(Activity(group.new_id(), description, text, now, subnet.zone, subnet.id, status))


def launch(group: Group, subnet: Subnet, cause: str, now: datetime, *, into_pool: bool = False) -> Member | None:
    """Start an instance in a subnet; None, and a failed activity, when its zone has no capacity."""
    words = "Launching a new EC2 instance into warm pool" if into_pool else "Launching a new EC2 instance"
    activity = record(group, words, cause, subnet, now)
    try:
        name = group.compute.launch(subnet)
    except NoCapacityError:
        others = tuple(sorted({other.zone for other in group.spec.subnets} - {subnet.zone}))
        activity.close(now, said.FAILED, said.no_capacity(group.spec.instance_type, subnet.zone, others))
        return None
    activity.description = f"{words}: {name}"
    state = State.WARMED_PENDING if into_pool else State.PENDING
    member = Member(name, subnet, group.spec.template, now, state, protected=group.spec.protect_new, activity=activity)
    group.members[name] = member
    return member


def take_from_pool(group: Group, member: Member, cause: str, now: datetime) -> bool:
    """Put an instance of the warm pool into the group; False when its zone has no capacity to start it.

    warm-pool-instance-lifecycle.html: a launch hook holds it a second time, in Pending:Wait.
    """
    words = f"Launching a new EC2 instance from warm pool: {member.id}"
    member.activity = record(group, words, cause, member.subnet, now)
    if member.state is State.WARMED_STOPPED:
        try:
            group.compute.start(member.id)
        except NoCapacityError:
            others = tuple(sorted({other.zone for other in group.spec.subnets} - {member.subnet.zone}))
            reason = said.no_capacity(group.spec.instance_type, member.subnet.zone, others)
            member.activity.close(now, said.FAILED, reason)
            return False
    member.state, member.protected = State.PENDING, group.spec.protect_new
    return True


def leave(group: Group, member: Member, cause: str, now: datetime, *, returns: bool = False) -> None:
    """Begin the way out: to termination, or back into the warm pool.

    A termination hook holds the former (warm-pool-instance-lifecycle.html). Two things that the pages leave open are
    decided here: it holds one that returns to the pool too, and one whose launch was abandoned.
    """
    if member.state.leaving:
        return
    if member.activity is not None:
        member.activity.close(now, said.CANCELLED)
    words = "Returning EC2 instance to warm pool" if returns else "Terminating EC2 instance"
    member.waits, member.returns = [], returns
    member.activity = record(group, f"{words}: {member.id}", cause, member.subnet, now)
    member.state = State.WARMED_TERMINATING if member.state.warmed else State.TERMINATING


def abandon(group: Group, member: Member, token: str, why: str, now: datetime) -> None:
    """End all lifecycle actions of an instance, as ABANDON does (completing-lifecycle-hooks.html).

    On the way in the instance is terminated, and the group replaces it; on the way out it just goes on.
    """
    member.waits = []
    if member.state.leaving:
        return
    if member.activity is not None:
        member.activity.close(now, said.CANCELLED, said.abandoned(token, why))
    leave(group, member, said.taken_out(now, "a lifecycle action that was abandoned"), now)


def expire(group: Group, member: Member, now: datetime) -> None:
    """Apply the default result of hooks that heard nothing in time (lifecycle-hooks-overview.html)."""
    for wait in tuple(member.waits):
        if not wait.expired(now):
            continue
        if wait.hook.default_result == ABANDON:
            abandon(group, member, wait.token, said.HEARTBEAT_TIMEOUT, now)
            return
        member.waits.remove(wait)


def advance(group: Group, member: Member, now: datetime) -> None:
    """One transition of one instance, if it can make one (ec2-auto-scaling-lifecycle.html)."""
    expire(group, member, now)
    if member.state in HELD:
        _meet_hooks(group, member, now)
    elif member.state in RELEASED and not member.waits:
        member.state = RELEASED[member.state]
    elif member.state is State.PENDING_PROCEED:
        member.state, member.in_service_since = State.IN_SERVICE, now
        _done(member, now)
    elif member.state is State.WARMED_PENDING_PROCEED:
        _rest(group, member, now)
    elif member.state in {State.TERMINATING_PROCEED, State.WARMED_TERMINATING_PROCEED}:
        _go(group, member, now)


def _meet_hooks(group: Group, member: Member, now: datetime) -> None:
    held, free, transition = HELD[member.state]
    hooks = group.spec.hooks_of(transition)
    # An instance that EC2 has taken away has nothing left to hold; one that returns to the pool was warmed up before.
    if _is_off(group, member) or (member.returns and not member.state.leaving):
        hooks = ()
    if hooks:
        member.waits = [begin(hook, group.new_id(), now) for hook in hooks]
        if member.activity is not None:
            member.activity.status = said.MID_LIFECYCLE_ACTION
    member.state, member.held = (held, True) if hooks else (free, False)


def _is_off(group: Group, member: Member) -> bool:
    return group.compute.power(member.id) in {Power.SHUTTING_DOWN, Power.GONE}


def _done(member: Member, now: datetime) -> None:
    if member.activity is not None:
        member.activity.close(now)
    member.returns = False


def _rest(group: Group, member: Member, now: datetime) -> None:
    """Come to rest in the pool: a pool of stopped instances stops it first (create-warm-pool.html, PoolState)."""
    pool = group.spec.warm_pool
    if pool is not None and pool.state == "Running":
        member.state = State.WARMED_RUNNING
        _done(member, now)
        return
    power = group.compute.power(member.id)
    if power is Power.RUNNING:
        group.compute.stop(member.id)
    if group.compute.power(member.id) is Power.STOPPED:
        member.state = State.WARMED_STOPPED
        _done(member, now)


def _go(group: Group, member: Member, now: datetime) -> None:
    """Terminate it, and forget it when EC2 says that it is gone."""
    if member.returns and group.spec.warm_pool is not None:
        member.state, member.in_service_since = State.WARMED_PENDING, None
        return
    if not _is_off(group, member):
        group.compute.terminate(member.id)
    if group.compute.power(member.id) is Power.GONE:
        _done(member, now)
        del group.members[member.id]
