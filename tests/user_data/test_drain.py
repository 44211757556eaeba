from __future__ import annotations

import pytest

from user_data.agent.drain import CUT_SECONDS, Drain, hook_deadline, looked, plan
from user_data.agent.occupancy import Occupancy

IDLE = Occupancy(0, 0)
SETTLE = 3.5


def test_the_deadline_is_the_groups_own() -> None:
    assert hook_deadline(5.0, 600) == 5.0 + 60_000
    assert hook_deadline(5.0, 7200) == 5.0 + 48 * 3600


def test_a_zero_counts_only_after_the_router_has_surely_stopped() -> None:
    drain = Drain(1000.0, unrouted_since=10.0)
    assert looked(drain, IDLE, 13.4, SETTLE).idle_looks == 0
    assert looked(drain, IDLE, 13.5, SETTLE).idle_looks == 1


def test_a_zero_of_a_worker_that_is_still_routed_never_counts() -> None:
    assert looked(Drain(1000.0), IDLE, 999.0, SETTLE).idle_looks == 0


@pytest.mark.parametrize("found", [None, Occupancy(1, 0), Occupancy(0, 1), Occupancy(0, 0, unread_tokens=1)], ids=str)
def test_whatever_is_not_a_zero_starts_the_count_again(found: Occupancy | None) -> None:
    assert looked(Drain(1000.0, 0.0, idle_looks=1), found, 50.0, SETTLE).idle_looks == 0


@pytest.mark.parametrize(
    ("drain", "now", "runs", "step"),
    [
        (Drain(100.0, 0.0, idle_looks=1), 50.0, True, "wait"),
        (Drain(100.0, 0.0, idle_looks=2), 50.0, True, "finish"),
        (Drain(100.0, 0.0), 50.0, False, "finish"),
        (Drain(100.0, 0.0), 100.0 - CUT_SECONDS - 0.1, True, "wait"),
        (Drain(100.0, 0.0), 100.0 - CUT_SECONDS, True, "cut"),
        (Drain(100.0), 100.0, True, "cut"),
    ],
)
def test_the_plan(drain: Drain, now: float, runs: bool, step: str) -> None:
    assert plan(drain, now, engine_runs=runs) == step
