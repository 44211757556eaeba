"""Sizes, zones, victims, health and hooks of a group."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rehearsal.emulated_aws.life_cycle.compute import Power
from rehearsal.emulated_aws.life_cycle.fitting import RETRY
from rehearsal.emulated_aws.life_cycle.group import GroupError
from rehearsal.emulated_aws.life_cycle.hooks import LAUNCHING, TERMINATING, Hook, HookError
from rehearsal.emulated_aws.life_cycle.states import State

from .support import DRAIN, LAUNCH, POOL, V2, A, world


def test_without_hooks_a_change_of_size_is_carried_out_at_once() -> None:
    it = world(4)
    assert set(it.states().values()) == {"InService"}
    assert it.zones() == ["a", "a", "b", "b"]
    it.want(1)
    assert len(it.states()) == 1
    assert list(it.ec2.machines.values()).count(Power.GONE) == 3


def test_a_leaving_instance_is_listed_until_its_machine_is_off() -> None:
    it = world(1)
    it.ec2.slow = True
    it.want(0)
    assert it.states() == {"i-1": "Terminating"}
    it.ec2.machines["i-1"] = Power.GONE
    it.tick()
    assert it.states() == {}


def test_a_launch_hook_holds_until_it_is_completed() -> None:
    it = world(2, hooks=(LAUNCH,))
    assert it.states() == {"i-1": "Pending:Wait", "i-2": "Pending:Wait"}
    it.finish("launch", "i-1")
    assert it.states() == {"i-1": "InService", "i-2": "Pending:Wait"}
    with pytest.raises(HookError, match="No active Lifecycle Action found with instance ID i-1"):
        it.finish("launch", "i-1")


def test_a_token_names_an_action_too() -> None:
    it = world(1, hooks=(LAUNCH,))
    token = it.group.members["i-1"].waits[0].token
    it.group.complete("launch", "CONTINUE", it.now, instance_id=None, token=token)
    it.tick()
    assert it.ids() == ["i-1"]


@pytest.mark.parametrize("result", ["ABANDON", None])
def test_an_abandoned_launch_is_replaced_and_says_why(result: str | None) -> None:
    it = world(1, hooks=(LAUNCH,))
    if result is None:
        it.tick(60)  # the default result of a hook is ABANDON
    else:
        it.finish("launch", "i-1", result)
    assert it.states() == {"i-2": "Pending:Wait"}
    said = it.group.log.entries[0]
    reason = "Heartbeat Timeout" if result is None else "Lifecycle Action Completed with ABANDON Result"
    assert said.status == "Cancelled"
    assert said.message is not None
    assert said.message.endswith(f"was abandoned: {reason}")
    assert said.description.startswith("Launching a new EC2 instance: i-1.  Status Reason: Instance failed to complete")


def test_a_hook_that_continues_by_default_lets_an_instance_in_after_its_timeout() -> None:
    it = world(1, hooks=(replace(LAUNCH, default_result="CONTINUE"),))
    it.tick(59)
    assert it.ids() == []
    it.tick(1)
    assert it.ids() == ["i-1"]


def test_heartbeats_start_the_timeout_anew_but_never_beyond_the_limit() -> None:
    it = world(1, hooks=(Hook("launch", LAUNCHING, 60),))
    _, wait = it.group.wait_of("launch", "i-1", None)
    for _ in range(110):
        it.tick(59)
        if not it.group.members.get("i-1"):
            break
        wait.beat(it.now)
    lived = (it.now - wait.since).total_seconds()
    assert 100 * 60 <= lived < 100 * 60 + 59
    assert Hook("x", TERMINATING, 7200).global_seconds == 172_800


def test_abandon_ends_all_hooks_and_continue_only_its_own() -> None:
    second = Hook("second", TERMINATING, 60)
    it = world(2, hooks=(DRAIN, second))
    it.want(0)
    it.finish("drain", "i-1")
    it.finish("drain", "i-2", "ABANDON")
    assert it.states() == {"i-1": "Terminating:Wait"}
    it.finish("second", "i-1")
    assert it.states() == {}


def test_an_instance_that_drains_does_not_count_and_is_replaced_at_once() -> None:
    it = world(1, hooks=(DRAIN,))
    activity = it.group.terminate("i-1", it.now, decrement=False)
    it.tick()
    assert it.states() == {"i-1": "Terminating:Wait", "i-2": "InService"}
    assert activity.status == "MidLifecycleAction"
    assert "was taken out of service in response to a user request." in activity.cause
    it.ec2.slow = True
    it.tick(60)
    assert it.states() == {"i-1": "Terminating:Proceed", "i-2": "InService"}
    it.ec2.machines["i-1"] = Power.GONE
    it.tick()
    assert it.states() == {"i-2": "InService"}
    assert activity.status == "Successful"


def test_terminate_with_decrement_respects_the_minimum() -> None:
    it = world(2, min_size=1)
    it.group.terminate("i-1", it.now, decrement=True)
    it.tick()
    assert it.ids() == ["i-2"]
    with pytest.raises(GroupError, match="desiredSize equals minSize"):
        it.group.terminate("i-2", it.now, decrement=True)
    with pytest.raises(GroupError, match="No managed instance found for instance ID: i-9"):
        it.group.terminate("i-9", it.now, decrement=True)


@pytest.mark.parametrize("hook", [Hook("x", "sideways"), Hook("x", LAUNCHING, 29), Hook("x", LAUNCHING, 60, "MAYBE")])
def test_a_hook_that_aws_refuses(hook: Hook) -> None:
    with pytest.raises(HookError):
        hook.check()


def test_scale_in_keeps_the_zones_even_and_spares_protected_and_new_ones() -> None:
    it = world(4)
    it.configure(template=V2)
    it.want(5)  # i-5 is the third of zone a, of the new version
    it.group.members["i-1"].protected = True
    it.want(4)
    assert sorted(it.states()) == ["i-1", "i-2", "i-4", "i-5"]
    it.want(2)
    assert "i-1" in it.states()
    assert it.zones() == ["a", "b"]


@pytest.mark.parametrize(("policy", "left"), [("OldestInstance", "i-2"), ("NewestInstance", "i-1")])
def test_a_termination_policy_decides_within_the_zone(policy: str, left: str) -> None:
    it = world(1, subnets=(A,), policies=(policy,))
    it.tick(10)
    it.want(2)
    it.want(1)
    assert it.ids() == [left]


def test_a_full_zone_makes_the_group_launch_in_another_and_say_why() -> None:
    it = world()
    it.ec2.full = {"us-east-1a"}
    it.want(2)
    assert it.zones() == ["b", "b"]
    failed = [said for said in it.group.log.entries if said.status == "Failed"]
    assert failed[0].message is not None
    assert failed[0].message.startswith(
        "We currently do not have sufficient g6e.xlarge capacity in the Availability Zone you requested (us-east-1a)."
    )
    assert "choosing us-east-1b" in failed[0].message


def test_without_any_capacity_the_group_tries_again_later() -> None:
    it = world()
    it.ec2.full = {"us-east-1a", "us-east-1b"}
    it.want(1)
    tried = len(it.group.log.entries)
    it.tick(1)
    assert len(it.group.log.entries) == tried
    it.ec2.full = set()
    it.tick(RETRY.total_seconds())
    assert it.ids() == ["i-1"]


def test_an_unhealthy_instance_is_replaced_after_the_grace_period() -> None:
    it = world(1, grace_seconds=60)
    it.group.set_health("i-1", it.now, healthy=False, respect_grace=True)
    it.tick()
    assert it.ids() == ["i-1"]
    it.tick(60)
    it.group.set_health("i-1", it.now, healthy=False, respect_grace=True)
    it.tick()
    assert it.ids() == ["i-2"]
    causes = [said.cause for said in it.group.log.entries]
    assert any(cause.endswith("in response to a user health-check.") for cause in causes)


def test_grace_does_not_count_when_the_caller_says_so() -> None:
    it = world(1, grace_seconds=60)
    it.group.set_health("i-1", it.now, healthy=False, respect_grace=False)
    it.tick()
    assert it.ids() == ["i-2"]


@pytest.mark.parametrize(("power", "left"), [(Power.GONE, None), (Power.STOPPED, "Terminating:Wait")])
def test_an_instance_that_ec2_took_or_stopped_is_replaced(power: Power, left: str | None) -> None:
    it = world(1, hooks=(DRAIN,))
    it.ec2.machines["i-1"] = power
    it.tick()
    assert it.states().get("i-1") == left
    assert it.ids() == ["i-2"]
    assert "EC2 health check indicating it has been terminated or stopped" in it.group.log.entries[1].cause


def test_an_instance_lost_while_it_waits_ends_its_launch() -> None:
    it = world(1, hooks=(LAUNCH,))
    it.ec2.machines["i-1"] = Power.GONE
    it.tick()
    assert it.states() == {"i-2": "Pending:Wait"}
    assert it.group.log.entries[0].status == "Cancelled"


def test_standby_is_left_alone_and_replaced_unless_the_capacity_goes_down() -> None:
    it = world(2)
    it.group.enter_standby("i-1", decrement=True)
    it.tick()
    assert it.states() == {"i-1": "Standby", "i-2": "InService"}
    it.ec2.machines["i-1"] = Power.STOPPED
    it.tick()
    it.ec2.machines["i-1"] = Power.RUNNING
    it.group.exit_standby("i-1", it.now)
    it.tick()
    assert sorted(it.ids()) == ["i-1", "i-2"]


def test_causes_name_the_request_and_the_change() -> None:
    it = world(1)
    it.want(2)
    assert it.group.log.entries[-1].cause == (
        "At 2026-01-01T00:00:00Z a user request explicitly set group desired capacity changing the desired capacity "
        "from 1 to 2.  At 2026-01-01T00:00:00Z an instance was started in response to a difference between desired "
        "and actual capacity, increasing the capacity from 1 to 2."
    )


def test_suspended_processes_do_nothing() -> None:
    it = world(1, suspended=frozenset({"Launch", "Terminate", "ReplaceUnhealthy", "HealthCheck"}))
    assert it.states() == {}


@pytest.mark.parametrize(("rebalance", "state"), [(True, "Terminating:Wait"), (False, "InService")])
def test_a_spot_notice_moves_the_group_only_with_capacity_rebalancing(rebalance: bool, state: str) -> None:
    it = world(1, hooks=(DRAIN,), rebalance=rebalance)
    it.group.interrupted("i-1", it.now)
    it.tick()
    assert it.states()["i-1"] == state
    assert len(it.ids()) == 1


@pytest.mark.parametrize(
    ("state", "target"),
    [
        (State.PENDING_WAIT, "InService"),
        (State.IN_SERVICE, "InService"),
        (State.TERMINATING_WAIT, "Terminated"),
        (State.WARMED_PENDING_WAIT, "Warmed:Stopped"),
        (State.WARMED_TERMINATING, "Warmed:Terminated"),
        (State.STANDBY, "Standby"),
    ],
)
def test_target_states(state: State, target: str) -> None:
    it = world(1, warm_pool=POOL)
    member = it.group.members["i-1"]
    member.state = state
    assert member.target("Stopped") == target
    member.returns = True
    assert member.target("Running") == ("Warmed:Running" if state.leaving or state.warmed else target)


def test_deleting_a_hook_abandons_launches_and_lets_terminations_go_on() -> None:
    it = world(2, hooks=(LAUNCH, DRAIN))
    it.finish("launch", "i-1")
    it.group.terminate("i-1", it.now, decrement=True)
    it.tick()
    assert it.states() == {"i-1": "Terminating:Wait", "i-2": "Pending:Wait"}
    it.group.drop_hook("drain", it.now)
    it.tick()
    assert it.states() == {"i-2": "Pending:Wait"}
    it.configure(hooks=())
    it.group.drop_hook("launch", it.now)
    it.tick()
    assert it.states() == {"i-3": "InService"}


def test_a_rebalance_recommendation_launches_first_and_terminates_then() -> None:
    it = world(2, rebalance=True)
    it.configure(hooks=(LAUNCH,))
    it.group.recommended("i-1")
    it.tick()
    assert it.states() == {"i-1": "InService", "i-2": "InService", "i-3": "Pending:Wait"}
    it.finish("launch", "i-3")
    assert it.states() == {"i-2": "InService", "i-3": "InService"}
    assert "rebalance recommendation" in it.group.log.entries[-1].cause
    it.configure(rebalance=False)
    it.group.recommended("i-2")
    it.tick()
    assert it.ids() == ["i-2", "i-3"]
