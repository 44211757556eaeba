from __future__ import annotations

import pytest

from settings.workers import ModelVolumeSettings, WarmPoolSettings, WorkerPool
from simulator.boot import Boot, boot_of
from simulator.capacity import Group, GroupPlan, WarmPool
from tests.simulator.made_up_cluster import MadeUpCluster

BOOT = Boot(cold=25.0, warm=10.0)


def _group(warm_pool: WarmPool | None = None, drain_seconds: float = 600.0) -> Group:
    cluster = MadeUpCluster(lambda _now: 0.0, 0.0, seconds=30.0)
    return Group(GroupPlan(1, 6, 2, BOOT, drain_seconds, warm_pool), cluster)


def _steps(group: Group, count: int, start: float = 0.0) -> float:
    now = start
    for _ in range(count):
        now += 10
        group.cluster.advance(now)
        group.step(now, 10)
    return now


def test_a_launch_serves_after_its_boot_and_is_charged_from_its_launch() -> None:
    group = _group()
    group.want(3, 0)
    _steps(group, 3)
    assert (len(group.ready), len(group.booting)) == (2, 1)  # launched at the first step, ready 25 s later
    _steps(group, 1, 30)
    assert len(group.ready) == 3
    assert group.hours.working == 2 * 40 + 30


def test_the_oldest_drains_until_it_is_empty_and_is_charged_so_long() -> None:
    group = _group()
    group.want(1, 0)
    _steps(group, 3)
    assert (list(group.ready), list(group.draining)) == ([2], [1])
    _steps(group, 1, 30)
    assert not group.draining
    assert group.hours.working == 2 * 40


def test_a_drain_is_cut_off_at_its_limit() -> None:
    group = _group(drain_seconds=10.0)
    group.want(1, 0)
    _steps(group, 2)
    assert not group.draining
    assert group.cluster.left == [1]  # type: ignore[attr-defined]


def test_less_capacity_takes_what_still_boots_first() -> None:
    group = _group()
    group.want(4, 0)
    _steps(group, 1)
    group.want(2, 10)
    _steps(group, 1, 10)
    assert (len(group.ready), len(group.booting), len(group.draining)) == (2, 0, 0)


def test_warm_hosts_start_sooner_and_are_replaced() -> None:
    group = _group(WarmPool(min_size=1))
    group.want(4, 0)
    _steps(group, 2)
    assert (len(group.ready), len(group.booting), group.warm) == (3, 1, 0)
    _steps(group, 2, 20)
    assert (len(group.ready), group.warm) == (4, 1)
    assert group.hours.stopped == 10  # until the first step
    assert group.hours.preparing == 30


@pytest.mark.parametrize(("wanted", "got"), [(0, 1), (9, 6), (4, 4)])
def test_the_bounds_hold(wanted: int, got: int) -> None:
    group = _group()
    group.want(wanted, 0)
    assert group.desired == got


def test_a_scheduled_minimum_raises_the_fleet() -> None:
    cluster = MadeUpCluster(lambda _now: 0.0, 0.0)
    group = Group(GroupPlan(1, 6, 1, Boot(0, 0), minimums=((20.0, 3),)), cluster)
    _steps(group, 1)
    assert len(group.ready) == 1
    _steps(group, 1, 10)
    assert len(group.ready) == 3


def test_boot_times_by_the_facts() -> None:
    fast, slow = WorkerPool(), WorkerPool(model_volume=ModelVolumeSettings(initialization_rate_mib=100))
    assert boot_of(fast).cold == pytest.approx(25.8 + 18 * 1024 / 300 + 22.3)
    assert boot_of(slow).cold == pytest.approx(25.8 + 18 * 1024 / 100 + 22.3)
    assert boot_of(fast).warm == pytest.approx(21.2 + 18 * 1024 / min(1000, 625 / 1.048576) + 22.3, rel=0.05)
    running = fast.model_copy(update={"warm_pool": WarmPoolSettings(enabled=True, state="running")})
    assert boot_of(running).warm == pytest.approx(boot_of(fast).warm - 21.2)
