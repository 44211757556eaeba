"""Instance refresh: everything replaced, and never fewer in service than promised."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.emulated_aws.life_cycle.refresh import Preferences, Refresh, RefreshError, begin, cancel

from .support import DRAIN, LAUNCH, POOL, V2, World, world


def in_turn(it: World, refresh: Refresh, limit: int = 200) -> tuple[int, int]:
    """Complete one hook at a time; the fewest in service and the most at all that were seen."""
    least, most = len(it.ids()), len(it.ids())
    for _ in range(limit):
        it.tick(1)
        counted = [member for member in it.group.members.values() if member.state.counts]
        least, most = min(least, len(it.ids())), max(most, len(counted))
        if not refresh.active:
            return least, most
        waiting = [(member, member.waits[0]) for member in it.group.members.values() if member.waits]
        if waiting:
            member, wait = waiting[0]
            it.group.complete(wait.hook.name, "CONTINUE", it.now, instance_id=member.id, token=None)
    raise AssertionError(it.states())


def start(it: World, **preferences: Any) -> Refresh:
    it.configure(template=V2)
    return begin(it.group, Preferences(**preferences), it.now)


def fleet(desired: int, **changes: Any) -> World:
    it = world(desired, **changes)
    it.configure(hooks=(LAUNCH, DRAIN))
    return it


@pytest.mark.parametrize(
    ("least", "most", "fewest", "highest"),
    [(100, 110, 4, 5), (90, None, 3, 4), (75, 125, 3, 5), (50, None, 2, 4), (100, 200, 4, 8), (0, None, 0, 4)],
)
def test_the_limits_hold(least: int, most: int | None, fewest: int, highest: int) -> None:
    it = fleet(4)
    refresh = start(it, min_healthy=least, max_healthy=most)
    assert in_turn(it, refresh) == (fewest, highest)
    assert {member.template for member in it.group.members.values()} == {V2}
    assert len(it.ids()) == 4
    assert (refresh.status, refresh.percentage) == ("Successful", 100)


def test_the_maintenance_policy_of_the_group_is_the_default() -> None:
    it = fleet(4, min_healthy=100, max_healthy=150)
    assert in_turn(it, start(it)) == (4, 6)


def test_a_new_instance_counts_when_it_has_warmed_up() -> None:
    it = world(1)
    refresh = start(it, min_healthy=100, max_healthy=200, warmup_seconds=30)
    it.tick(1)
    assert it.ids() == ["i-1", "i-2"]
    it.tick(29)
    assert refresh.active
    it.tick(1)
    assert it.ids() == ["i-2"]
    assert not refresh.active


def test_instances_that_match_are_skipped() -> None:
    it = world(2)
    refresh = begin(it.group, Preferences(skip_matching=True), it.now)
    it.tick()
    assert it.ids() == ["i-1", "i-2"]
    assert (refresh.status, refresh.total) == ("Successful", 0)


def test_the_warm_pool_is_replaced_last() -> None:
    it = world(1, warm_pool=POOL)
    refresh = start(it, min_healthy=0)
    it.tick()
    assert not refresh.active
    assert {member.template for member in it.group.members.values()} == {V2}
    assert sorted(it.states().values()) == ["InService", "Warmed:Stopped"]


def test_one_at_a_time_and_a_cancel() -> None:
    it = fleet(2)
    refresh = start(it)
    with pytest.raises(RefreshError, match="already in progress"):
        start(it)
    it.tick()
    assert refresh.percentage == 0
    it.finish("drain", "i-1")
    assert refresh.percentage == 50
    assert cancel(it.group, it.now) is refresh
    assert refresh.status == "Cancelled"
    it.tick()
    it.finish("launch", "i-3")
    assert len(it.ids()) == 2
    with pytest.raises(RefreshError, match="No in progress"):
        cancel(it.group, it.now)


@pytest.mark.parametrize(
    ("how", "left", "status"),
    [
        ("Wait", True, "InProgress"),
        ("Ignore", True, "Successful"),
        ("Refresh", False, "Successful"),
    ],
)
def test_instances_protected_from_scale_in(how: str, left: bool, status: str) -> None:
    it = world(2)
    it.group.members["i-1"].protected = True
    refresh = start(it, min_healthy=0, protected=how)
    it.tick()
    assert ("i-1" in it.ids()) is left
    assert refresh.status == status
    assert len(it.ids()) == 2
