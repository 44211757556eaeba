"""Bringing a group and its warm pool to size."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rehearsal.emulated_aws.life_cycle import activities as said
from rehearsal.emulated_aws.life_cycle.choice import victims, zones_by_need
from rehearsal.emulated_aws.life_cycle.compute import WarmPool
from rehearsal.emulated_aws.life_cycle.passage import launch, leave, take_from_pool
from rehearsal.emulated_aws.life_cycle.states import Member, State

if TYPE_CHECKING:
    from rehearsal.emulated_aws.life_cycle.group import Group

# AWS keeps trying until there is capacity and does not say how often; a rehearsal should not wait for minutes.
RETRY = timedelta(seconds=10)


def fit(group: Group, surge: int, now: datetime) -> None:
    """Launch or terminate until as many instances are there as wanted (ec2-auto-scaling-scaling-manually.html).

    `surge` is how many more than the desired capacity an instance refresh asks for at the moment.
    """
    counted = [member for member in group.members.values() if member.state.counts]
    missing = group.desired + surge - len(counted)
    if missing > 0 and "Launch" not in group.spec.suspended:
        _grow(group, missing, now)
    elif missing < 0 and "Terminate" not in group.spec.suspended:
        _shrink(group, counted, -missing, now)


def _grow(group: Group, missing: int, now: datetime) -> None:
    """From the warm pool first, then new ones, each in the emptiest zone that has capacity (ts-as-capacity.html)."""
    if group.retry_at is not None and now < group.retry_at:
        return
    for _ in range(missing):
        counted = [member for member in group.members.values() if member.state.counts]
        cause = said.difference(now, len(counted), len(counted) + 1)
        if not (_warm_start(group, cause, now) or _cold_start(group, counted, cause, now)):
            group.retry_at = now + RETRY
            return
    group.retry_at = None


def _warm_start(group: Group, cause: str, now: datetime) -> bool:
    """ec2-auto-scaling-warm-pools.html: a scale-out draws on the pool, a depleted pool makes it a cold start."""
    rested = {State.WARMED_STOPPED, State.WARMED_RUNNING}
    pool = [member for member in group.members.values() if member.state in rested and member.healthy]
    return any(take_from_pool(group, member, cause, now) for member in pool)


def _cold_start(group: Group, counted: list[Member], cause: str, now: datetime, *, into_pool: bool = False) -> bool:
    subnets = zones_by_need(group.spec.subnets, counted)
    return any(launch(group, subnet, cause, now, into_pool=into_pool) for subnet in subnets)


def _shrink(group: Group, counted: list[Member], surplus: int, now: datetime) -> None:
    """Take the surplus out, or back to a warm pool that reuses instances (warm pools: InstanceReusePolicy)."""
    pool = group.spec.warm_pool
    before = len(counted)
    for number, member in enumerate(victims(counted, surplus, group.spec.policies, group.spec.template)):
        cause = said.difference(now, before - number, before - number - 1)
        cause += f"  At {said.stamp(now)} instance {member.id} was selected for termination."
        returns = pool is not None and pool.reuse and member.healthy and member.state is State.IN_SERVICE
        leave(group, member, cause, now, returns=returns)


def fit_pool(group: Group, now: datetime) -> None:
    """Fill the warm pool up, or take the surplus out of it (create-warm-pool.html)."""
    pool = group.spec.warm_pool
    members = group.members.values()
    warm = [member for member in members if member.state.warmed and not member.state.leaving]
    returning = [member for member in members if member.state.leaving and member.returns]
    missing = _pool_size(group, pool) - len(warm) - len(returning)
    if missing > 0 and "Launch" not in group.spec.suspended:
        _fill(group, warm, missing, now)
    for member in warm[: max(0, -missing)]:
        leave(group, member, said.difference(now, len(warm), len(warm) - 1), now)


def _pool_size(group: Group, pool: WarmPool | None) -> int:
    return pool.size(group.desired, group.spec.max_size) if pool is not None else 0


def _fill(group: Group, warm: list[Member], missing: int, now: datetime) -> None:
    if group.retry_at is not None and now < group.retry_at:
        return
    for number in range(missing):
        size = len(warm) + number
        placed = [member for member in group.members.values() if member.state.warmed]
        if not _cold_start(group, placed, said.difference(now, size, size + 1), now, into_pool=True):
            group.retry_at = now + RETRY
            return
