"""Instance refresh, strategy Rolling: every instance replaced while enough of them serve."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from rehearsal.emulated_aws.life_cycle import activities as said
from rehearsal.emulated_aws.life_cycle.choice import victims
from rehearsal.emulated_aws.life_cycle.compute import MIN_HEALTHY_DEFAULT
from rehearsal.emulated_aws.life_cycle.passage import leave
from rehearsal.emulated_aws.life_cycle.states import Member, State, Template

if TYPE_CHECKING:
    from rehearsal.emulated_aws.life_cycle.group import Group

ALL = 100  # per cent
IN_PROGRESS, SUCCESSFUL, CANCELLED = "InProgress", "Successful", "Cancelled"


IN_THE_WAY = "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."


class RefreshError(ValueError):
    """A refresh that cannot begin or be cancelled."""


@dataclass(frozen=True)
class Preferences:
    """How to replace (API_RefreshPreferences.html). None: what the group's instance maintenance policy says."""

    min_healthy: int | None = None
    max_healthy: int | None = None
    warmup_seconds: int | None = None
    skip_matching: bool = False
    protected: str = "Wait"
    standby: str = "Wait"


@dataclass
class Refresh:
    """One instance refresh (instance-refresh-overview.html)."""

    id: str
    preferences: Preferences
    template: Template
    started: datetime
    old: set[str] = field(default_factory=set)
    total: int = 0
    status: str = IN_PROGRESS
    reason: str | None = None
    ended: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether it still replaces."""
        return self.ended is None

    @property
    def percentage(self) -> int:
        """How much is replaced."""
        return ALL if not self.total else ALL * (self.total - len(self.old)) // self.total

    def end(self, status: str, now: datetime, reason: str | None = None) -> None:
        """Bring it to its end."""
        self.status, self.ended, self.reason = status, now, reason


def begin(group: Group, preferences: Preferences, now: datetime) -> Refresh:
    """Begin to replace every instance, those of the warm pool included (instance-refresh-overview.html).

    With SkipMatching, instances that have the group's launch template version already are left alone
    (asg-instance-refresh-skip-matching.html).

    Raises:
        RefreshError: another one is in progress.
    """
    if any(refresh.active for refresh in group.refreshes):
        raise RefreshError(IN_THE_WAY)
    template = group.spec.template
    old = {
        member.id
        for member in group.members.values()
        if not member.state.leaving and not (preferences.skip_matching and member.template == template)
    }
    if preferences.protected == "Ignore":
        old -= {member.id for member in group.members.values() if member.protected}
    if preferences.standby == "Ignore":
        old -= {member.id for member in group.members.values() if member.state is State.STANDBY}
    refresh = Refresh(group.new_id(), preferences, template, now, old, len(old))
    group.refreshes.append(refresh)
    return refresh


def cancel(group: Group, now: datetime) -> Refresh:
    """Stop replacing; what is under way goes on, and nothing is undone (cancel-instance-refresh.html).

    Raises:
        RefreshError: none is in progress.
    """
    for refresh in group.refreshes:
        if refresh.active:
            refresh.end(CANCELLED, now, "Cancelled due to user request.")
            return refresh
    raise RefreshError("No in progress or pending Instance Refresh found for Auto Scaling group " + group.name)


@dataclass(frozen=True)
class Move:
    """What a refresh wants now: this many instances beyond the desired capacity, and these ones out."""

    surge: int = 0
    out: tuple[str, ...] = ()
    finished: bool = False
    waits_for: str | None = None


def plan(group: Group, refresh: Refresh, now: datetime) -> Move:
    """The next move (instance-refresh-overview.html, instance-maintenance-policy-overview-and-considerations.html).

    Never fewer ready instances than MinHealthyPercentage of the desired capacity, rounded up; ready means in service,
    healthy, and for InstanceWarmup seconds. With a MaxHealthyPercentage above 100, new ones are launched before old
    ones go, up to that share and at least one. Without it, one at a time is replaced even where the minimum leaves no
    room.
    """
    least, most, warmup = limits(group, refresh.preferences)
    members = [member for member in group.members.values() if member.state.counts]
    old = [member for member in members if member.id in refresh.old]
    ready = [member for member in members if member.ready(now, 0 if member.id in refresh.old else warmup)]
    if not old:
        settled = len(ready) >= group.desired and len(ready) == len(members)
        rest = tuple(member.id for member in _resting(group, refresh) if not member.state.leaving)
        return Move(out=rest if settled else (), finished=settled and not refresh.old)
    floor = math.ceil(group.desired * least / ALL)
    surge = min(len(old), max(1, group.desired * most // ALL - group.desired)) if most > ALL else 0
    removable = len(ready) - floor
    if removable <= 0 and not surge and len(ready) == len(members):
        removable = 1
    replaceable = [member for member in old if refresh.preferences.protected == "Refresh" or not member.protected]
    if not replaceable:
        return Move(0, waits_for="Waiting for scale-in protected instances to be unprotected or terminated.")
    return Move(min(surge, len(replaceable)), _out(group, replaceable, ready, removable))


def _resting(group: Group, refresh: Refresh) -> list[Member]:
    """Old instances of the warm pool, replaced after those in service; Standby ones only where the user says so."""
    found = [member for member in group.members.values() if member.id in refresh.old]
    allowed = refresh.preferences.standby == "Terminate"
    return [member for member in found if member.state.warmed or (member.state is State.STANDBY and allowed)]


def _out(group: Group, old: list[Member], ready: list[Member], removable: int) -> tuple[str, ...]:
    """Old ones that may go: those that do not serve anyway, and as many serving ones as the minimum leaves room for."""
    serving = {member.id for member in ready}
    idle = [member.id for member in old if member.id not in serving]
    # What may go at all was decided before: here protection counts no more.
    others = [replace(member, protected=False) for member in old if member.id in serving]
    chosen = victims(others, max(0, removable), group.spec.policies, group.spec.template)
    return (*idle, *(member.id for member in chosen))


def limits(group: Group, preferences: Preferences) -> tuple[int, int, int]:
    """Minimum and maximum healthy percentage, warm-up in seconds (understand-instance-refresh-default-values.html)."""
    least = preferences.min_healthy if preferences.min_healthy is not None else group.spec.min_healthy
    most = preferences.max_healthy if preferences.max_healthy is not None else group.spec.max_healthy
    warmup = preferences.warmup_seconds
    return (
        MIN_HEALTHY_DEFAULT if least is None else least,
        ALL if most is None else most,
        group.spec.warmup_seconds if warmup is None else warmup,
    )


def step(group: Group, now: datetime) -> int:
    """Make the next move of the refresh in progress.

    Returns:
        How many instances beyond the desired capacity the group is to have.
    """
    refresh = next((refresh for refresh in group.refreshes if refresh.active), None)
    if refresh is None or "InstanceRefresh" in group.spec.suspended:
        return 0
    refresh.old &= group.members.keys()  # replaced means gone: one that drains is not done
    move = plan(group, refresh, now)
    refresh.reason = move.waits_for
    for name in move.out:
        cause = said.taken_out(now, said.BY_REFRESH)
        cause += f"  At {said.stamp(now)} instance {name} was selected for termination."
        leave(group, group.members[name], cause, now)
    if move.finished:
        refresh.end(SUCCESSFUL, now)
    return min(move.surge, sum(group.members[name].state.counts for name in refresh.old))
