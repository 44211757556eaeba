"""A group: its instances, what it can be asked, and the step that makes reality follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rehearsal.emulated_aws.life_cycle import activities as said
from rehearsal.emulated_aws.life_cycle import refresh as refreshing
from rehearsal.emulated_aws.life_cycle.activities import Activity, ActivityLog
from rehearsal.emulated_aws.life_cycle.compute import Compute, Power, Spec
from rehearsal.emulated_aws.life_cycle.fitting import fit, fit_pool
from rehearsal.emulated_aws.life_cycle.hooks import ABANDON, CONTINUE, HookError, Wait
from rehearsal.emulated_aws.life_cycle.passage import abandon, advance, leave
from rehearsal.emulated_aws.life_cycle.refresh import Refresh
from rehearsal.emulated_aws.life_cycle.states import Member, State, Subnet, Template

# One step lets everything happen that can happen at this moment; each pass makes at most one transition per instance.
PASSES = 40


class GroupError(ValueError):
    """A request that Auto Scaling refuses, in its words."""


@dataclass
class Group:
    """One Auto Scaling group. Requests change what is wanted; `tick` carries it out."""

    name: str
    spec: Spec
    compute: Compute
    new_id: Callable[[], str]
    desired: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    log: ActivityLog = field(default_factory=ActivityLog)
    refreshes: list[Refresh] = field(default_factory=list)
    reason: str = ""  # the request whose consequences are being carried out
    retry_at: datetime | None = None

    def member(self, instance_id: str) -> Member:
        """An instance of the group.

        Raises:
            GroupError: it is not one.
        """
        try:
            return self.members[instance_id]
        except KeyError:
            raise GroupError(
                f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
            ) from None

    def set_desired(self, desired: int, now: datetime, request: str = "") -> None:
        """Want another number of instances (ec2-auto-scaling-scaling-manually.html)."""
        if desired == self.desired:
            return
        request = request or "a user request explicitly set group desired capacity"
        self.reason = f"At {said.stamp(now)} {request} changing the desired capacity from {self.desired} to {desired}."
        self.desired = desired
        self.retry_at = None

    def wait_of(self, hook: str, instance_id: str | None, token: str | None) -> tuple[Member, Wait]:
        """The lifecycle action that is meant, by its token or by instance and hook (completing-lifecycle-hooks.html).

        Raises:
            HookError: there is no such action now.
        """
        for member in self.members.values():
            for wait in member.waits:
                if wait.hook.name == hook and (wait.token == token if token else member.id == instance_id):
                    return member, wait
        wanted = f"token {token}" if token else f"instance ID {instance_id}"
        raise HookError(f"No active Lifecycle Action found with {wanted}")

    def complete(self, hook: str, result: str, now: datetime, *, instance_id: str | None, token: str | None) -> None:
        """CompleteLifecycleAction (completing-lifecycle-hooks.html): CONTINUE lifts one hook, ABANDON ends them all.

        Raises:
            HookError: no such action, or no such result.
        """
        if result not in {CONTINUE, ABANDON}:
            raise HookError(f"The lifecycle action result {result} is invalid; it is either CONTINUE or ABANDON.")
        member, wait = self.wait_of(hook, instance_id, token)
        if result == ABANDON:
            abandon(self, member, wait.token, said.COMPLETED_WITH_ABANDON, now)
        else:
            member.waits.remove(wait)

    def drop_hook(self, hook: str, now: datetime) -> None:
        """A hook is deleted: its actions end, with ABANDON on the way in and CONTINUE on the way out.

        API_DeleteLifecycleHook.html.
        """
        for member in tuple(self.members.values()):
            for wait in [wait for wait in member.waits if wait.hook.name == hook]:
                if member.state.leaving:
                    member.waits.remove(wait)
                else:
                    abandon(self, member, wait.token, said.COMPLETED_WITH_ABANDON, now)

    def set_health(self, instance_id: str, now: datetime, *, healthy: bool, respect_grace: bool) -> None:
        """SetInstanceHealth (API_SetInstanceHealth.html).

        By default it does nothing within the health check grace period, which begins when the instance goes into
        service (health-check-grace-period.html).
        """
        member = self.member(instance_id)
        since = member.in_service_since
        in_grace = since is None or now < since + timedelta(seconds=self.spec.grace_seconds)
        if not healthy and respect_grace and in_grace:
            return
        member.healthy = healthy

    def terminate(self, instance_id: str, now: datetime, *, decrement: bool) -> Activity:
        """TerminateInstanceInAutoScalingGroup (API_TerminateInstanceInAutoScalingGroup.html).

        Raises:
            GroupError: unknown instance, one of the warm pool, or the group would get below its minimum.
        """
        member = self.member(instance_id)
        if member.state.warmed:
            raise GroupError(f"Instance {instance_id} is in the warm pool and cannot be terminated by this call.")
        if decrement and self.desired - 1 < self.spec.min_size:
            raise GroupError(
                "Currently, desiredSize equals minSize "
                f"({self.spec.min_size}). Terminating instance without replacement will violate group's min size "
                "constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )
        cause = f"At {said.stamp(now)} instance {instance_id} was taken out of service in response to a user request"
        if decrement:
            cause += f", shrinking the capacity from {self.desired} to {self.desired - 1}"
            self.desired -= 1
        leave(self, member, f"{cause}.", now)
        assert member.activity is not None  # noqa: S101 - `leave` has just written it, or an earlier one did
        return member.activity

    def enter_standby(self, instance_id: str, *, decrement: bool) -> None:
        """Out of service but kept (as-enter-exit-standby.html); replaced unless the desired capacity goes down too."""
        member = self.member(instance_id)
        if member.state is not State.IN_SERVICE:
            raise GroupError(f"The instance {instance_id} is not in InService.")
        member.state = State.STANDBY
        self.desired -= int(decrement)

    def exit_standby(self, instance_id: str, now: datetime) -> None:
        """Back into service, through the launch hooks (as-enter-exit-standby.html: Pending); the capacity goes up."""
        member = self.member(instance_id)
        if member.state is not State.STANDBY:
            raise GroupError(f"The instance {instance_id} is not in Standby.")
        member.state, member.in_service_since = State.PENDING, now
        self.desired += 1

    def detach(self, instance_id: str, *, decrement: bool) -> None:
        """Let an instance go on by itself (ec2-auto-scaling-detach-attach-instances.html)."""
        del self.members[self.member(instance_id).id]
        self.desired -= int(decrement)

    def attach(self, instance_id: str, subnet: Subnet, template: Template, now: datetime) -> None:
        """Take an instance in; the desired capacity goes up (ec2-auto-scaling-detach-attach-instances.html).

        Raises:
            GroupError: the group would get above its maximum.
        """
        if self.desired + 1 > self.spec.max_size:
            raise GroupError(f"Increasing desiredSize by 1 exceeds the group's maximum size of {self.spec.max_size}.")
        self.members[instance_id] = Member(
            instance_id, subnet, template, now, State.PENDING, protected=self.spec.protect_new
        )
        self.desired += 1

    def interrupted(self, instance_id: str, now: datetime) -> None:
        """EC2 announced that it takes a Spot Instance (ec2-auto-scaling-capacity-rebalancing.html).

        With Capacity Rebalancing the group replaces it at once, through the termination hooks; without, not "until
        after the Amazon EC2 Spot service interrupts the instances and their health check fails".
        """
        if self.spec.rebalance and instance_id in self.members:
            leave(self, self.members[instance_id], said.taken_out(now, said.BY_SPOT), now)

    def recommended(self, instance_id: str) -> None:
        """EC2 recommended to rebalance an instance (ec2-auto-scaling-capacity-rebalancing.html)."""
        if self.spec.rebalance and instance_id in self.members:
            self.members[instance_id].at_risk = True

    def tick(self, now: datetime) -> None:
        """Let everything happen that can happen now."""
        for _ in range(PASSES):
            before = self._picture()
            self._look_at_ec2(now)
            for member in tuple(self.members.values()):
                advance(self, member, now)
            self._replace_unhealthy(now)
            surge = refreshing.step(self, now) + self._rebalance(now)
            fit(self, surge, now)
            fit_pool(self, now)
            if self._picture() == before:
                break
        self.reason = ""

    def _picture(self) -> tuple[object, ...]:
        states = tuple((name, member.state, len(member.waits)) for name, member in self.members.items())
        return (*states, self.retry_at, *(refresh.status for refresh in self.refreshes))

    def _rebalance(self, now: datetime) -> int:
        """Capacity Rebalancing: launch first, terminate when the new ones are in service (same page as `interrupted`).

        Returns:
            How many instances beyond the desired capacity the group is to have meanwhile.
        """
        counted = [member for member in self.members.values() if member.state.counts]
        at_risk = [member for member in counted if member.at_risk]
        safe = [member for member in counted if member.ready(now, 0) and not member.at_risk]
        if len(safe) < self.desired:
            return len(at_risk)
        for member in at_risk:
            leave(self, member, said.taken_out(now, said.BY_REBALANCE), now)
        return 0

    def _look_at_ec2(self, now: datetime) -> None:
        """The EC2 health check (ec2-auto-scaling-health-checks.html): terminated or stopped means unhealthy.

        A terminated instance is past holding, so no hook does; a stopped one leaves through the termination hooks.
        Standby instances are not checked.
        """
        if "HealthCheck" in self.spec.suspended:
            return
        for member in tuple(self.members.values()):
            power = self.compute.power(member.id)
            if power in {Power.GONE, Power.SHUTTING_DOWN}:
                self._lost(member, now)
            elif power in {Power.STOPPED, Power.STOPPING} and not _may_be_off(member):
                member.healthy = False
                self._unhealthy(member, said.BY_EC2, now)

    def _lost(self, member: Member, now: datetime) -> None:
        member.returns = False
        if not member.state.leaving:
            member.healthy = False
            self._unhealthy(member, said.BY_EC2, now)
        if member.waits:
            member.waits = []

    def _replace_unhealthy(self, now: datetime) -> None:
        """Terminate what is unhealthy; the group then launches what it misses, in the same step (same page).

        AWS does so too, unless an instance maintenance policy lets it launch first: then it keeps the unhealthy one
        until the new one is ready. Here it never does: nothing is to be routed to an unhealthy instance anyway.
        """
        if "ReplaceUnhealthy" in self.spec.suspended:
            return
        for member in tuple(self.members.values()):
            if not member.healthy and member.state is not State.STANDBY:
                self._unhealthy(member, said.BY_USER, now)

    def _unhealthy(self, member: Member, why: str, now: datetime) -> None:
        if member.state.leaving:
            return
        if member.activity is not None and member.state is not State.IN_SERVICE:
            member.activity.close(now, said.CANCELLED, said.BECAME_UNHEALTHY)
        leave(self, member, said.taken_out(now, why), now)


def _may_be_off(member: Member) -> bool:
    """Stopped on purpose: at rest in the pool, on the way there, on the way out, or in standby."""
    resting = {State.WARMED_STOPPED, State.WARMED_PENDING_PROCEED, State.STANDBY}
    return member.state in resting or member.state.leaving
