from __future__ import annotations

from typing import TYPE_CHECKING

from user_data.agent.memory import MEMORY_FILE, Memory, give_up_reason, load_memory, patience, save_memory
from user_data.node_config import WatchdogConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.user_data.conftest import LogLines

LIMITS = WatchdogConfig(max_restarts=2, restart_window_seconds=600, abandon_not_before_seconds=300)
READY = 1800.0


def test_the_clock_of_the_first_attempt_goes_on() -> None:
    memory = Memory().started(100.0).failed(120.0, 600).started(130.0)
    assert memory.waiting_since == 100.0
    assert patience(memory, LIMITS, READY).left(130.0) == READY - 30


def test_a_ready_worker_that_fails_has_its_time_anew() -> None:
    memory = Memory().started(100.0).ready()
    assert (memory.waiting_since, memory.in_service) == (None, True)
    assert patience(memory, LIMITS, READY).left(5000.0) == READY
    assert memory.failed(5000.0, 600).waiting_since == 5000.0


def test_old_failures_are_forgotten() -> None:
    memory = Memory().failed(0.0, 600).failed(500.0, 600).failed(601.0, 600)
    assert memory.failures == (500.0, 601.0)


def test_a_host_that_is_not_ready_in_time_gives_up() -> None:
    memory = Memory().started(0.0).failed(READY, 600)
    assert give_up_reason(memory, READY, LIMITS, READY) == "not ready within ready_timeout_seconds=1800"
    assert give_up_reason(memory, READY - 1, LIMITS, READY) is None


def test_a_host_that_was_never_ready_holds_its_place_for_a_while() -> None:
    memory = Memory().started(0.0).failed(10.0, 600).failed(20.0, 600).failed(30.0, 600)
    assert give_up_reason(memory, 299.0, LIMITS, READY) is None
    reason = "3 failures within restart_window_seconds=600, more than max_restarts=2"
    assert give_up_reason(memory, 300.0, LIMITS, READY) == reason


def test_a_worker_in_service_gives_up_as_soon_as_it_failed_too_often() -> None:
    memory = Memory().started(0.0).ready().failed(1000.0, 600).failed(1010.0, 600)
    assert give_up_reason(memory, 1010.0, LIMITS, READY) is None
    memory = memory.ready().failed(1020.0, 600)
    assert give_up_reason(memory, 1020.0, LIMITS, READY) is not None


def test_a_worker_in_service_that_does_not_come_back_gives_up() -> None:
    memory = Memory().started(0.0).ready().failed(1000.0, 600)
    assert give_up_reason(memory, 1000.0 + READY, LIMITS, READY) is not None


def test_what_is_remembered_outlives_the_program(root: Path, lines: LogLines) -> None:
    assert load_memory(lines.log) == Memory()
    memory = Memory().started(1.5).failed(2.5, 600).gave_up("why")
    save_memory(memory)
    assert load_memory(lines.log) == memory
    assert (root / MEMORY_FILE[1:]).stat().st_mode & 0o777 == 0o600


def test_an_unreadable_memory_is_told_and_empty(root: Path, lines: LogLines) -> None:
    save_memory(Memory())
    (root / MEMORY_FILE[1:]).write_text("{not json")
    assert load_memory(lines.log) == Memory()
    assert len(lines.named("memory_unreadable")) == 1


def test_a_short_ready_timeout_does_not_make_the_group_launch_hosts_without_pause() -> None:
    crashing = Memory().started(0.0).failed(20.0, 600).failed(40.0, 600).failed(60.0, 600)
    hanging = Memory().started(0.0).failed(60.0, 600)
    for memory in (crashing, hanging):
        assert give_up_reason(memory, 299.0, LIMITS, 60.0) is None
        assert patience(memory, LIMITS, 60.0).left(60.0) == 240.0
        reason = "not ready within ready_timeout_seconds=60, held until abandon_not_before_seconds=300"
        assert give_up_reason(memory, 300.0, LIMITS, 60.0) == reason


def test_a_worker_that_was_in_service_has_its_ready_timeout_only() -> None:
    memory = Memory().started(0.0).ready().failed(1000.0, 600)
    assert patience(memory, LIMITS, 60.0).left(1000.0) == 60.0
    assert give_up_reason(memory, 1060.0, LIMITS, 60.0) == "not ready within ready_timeout_seconds=60"
