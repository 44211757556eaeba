"""The warm pool: filled, drawn on, given back to."""

from __future__ import annotations

from dataclasses import replace

from rehearsal.emulated_aws.life_cycle.compute import Power, WarmPool

from .support import DRAIN, LAUNCH, POOL, world


def test_the_size_of_a_pool() -> None:
    assert WarmPool().size(3, 10) == 7
    assert WarmPool(max_prepared=5).size(3, 10) == 2
    assert WarmPool(min_size=2, max_prepared=5).size(5, 10) == 2


def test_an_instance_warms_up_behind_the_launch_hook_and_is_stopped() -> None:
    it = world(0, warm_pool=POOL, hooks=(LAUNCH,))
    assert it.states() == {"i-1": "Warmed:Pending:Wait"}
    assert it.group.log.entries[0].description == "Launching a new EC2 instance into warm pool: i-1"
    it.ec2.slow = True  # a machine takes time to stop
    it.finish("launch", "i-1")
    assert it.states() == {"i-1": "Warmed:Pending:Proceed"}
    it.ec2.machines["i-1"] = Power.STOPPED
    it.tick()
    assert it.states() == {"i-1": "Warmed:Stopped"}


def test_a_scale_out_draws_on_the_pool_and_the_pool_is_filled_again() -> None:
    it = world(0, warm_pool=POOL)
    it.configure(hooks=(LAUNCH,))
    it.want(1)
    assert it.states() == {"i-1": "Pending:Wait", "i-2": "Warmed:Pending:Wait"}
    assert it.ec2.machines["i-1"] is Power.RUNNING
    it.finish("launch", "i-1")
    assert it.ids() == ["i-1"]


def test_a_pool_without_capacity_in_its_zone_makes_a_cold_start() -> None:
    it = world(0, warm_pool=POOL)
    it.ec2.full = {"us-east-1a"}
    it.want(1)
    assert it.states()["i-1"] == "Warmed:Stopped"
    assert it.zones() == ["a", "b"]


def test_scale_in_gives_back_to_a_pool_that_reuses() -> None:
    it = world(2, warm_pool=replace(POOL, min_size=0, max_prepared=2, reuse=True), hooks=(DRAIN,))
    it.want(1)
    leaving = next(name for name, state in it.states().items() if state == "Terminating:Wait")
    assert it.group.members[leaving].target("Stopped") == "Warmed:Stopped"
    it.finish("drain", leaving)
    assert it.states()[leaving] == "Warmed:Stopped"
    assert len(it.states()) == 2
    it.want(2)
    assert it.states()[leaving] == "InService"


def test_a_pool_of_running_instances_stops_none() -> None:
    it = world(0, warm_pool=replace(POOL, state="Running"))
    assert it.states() == {"i-1": "Warmed:Running"}
    assert it.ec2.machines["i-1"] is Power.RUNNING


def test_a_pool_that_is_taken_away_terminates_its_instances() -> None:
    it = world(1, warm_pool=POOL)
    it.configure(warm_pool=None)
    it.tick()
    assert it.states() == {"i-1": "InService"}


def test_an_instance_that_stops_itself_before_it_is_warm_is_replaced() -> None:
    it = world(0, warm_pool=POOL, hooks=(LAUNCH,))
    it.ec2.machines["i-1"] = Power.STOPPED
    it.tick()
    assert it.states() == {"i-2": "Warmed:Pending:Wait"}
