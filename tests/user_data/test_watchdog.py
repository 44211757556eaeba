from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from user_data.agent.occupancy import Occupancy, OccupancyError
from user_data.agent.watchdog import Health, Watchdog, judge, verdict_seconds
from user_data.node_config import WatchdogConfig

if TYPE_CHECKING:
    from tests.user_data.conftest import LogLines

BAD = Health(2, "why", (1.0,))


def test_a_token_ends_all_suspicion() -> None:
    assert judge(BAD, "generated", (1.0,), "") == Health(0, "", (1.0,))


def test_silence_without_progress_is_a_strike() -> None:
    assert judge(BAD, "silent", (1.0,), "ReadTimeout") == Health(3, "ReadTimeout", (1.0,))
    assert judge(BAD, "silent", None, "ReadTimeout") == Health(3, "ReadTimeout", (1.0,))


def test_a_long_prefill_is_no_hang() -> None:
    assert judge(BAD, "silent", (2.0,), "ReadTimeout") == Health(0, "", (2.0,))


def test_an_error_is_a_strike_whatever_else_goes_on() -> None:
    assert judge(BAD, "error", (2.0,), "500") == Health(3, "500", (2.0,))


def test_an_engine_that_tells_again_what_it_told_before_made_no_progress() -> None:
    silent = judge(BAD, "silent", None, "x")
    assert judge(silent, "silent", (1.0,), "x").strikes == 4


class Engine:
    """Answers from lists; `None` for a token, a status for an error, `...` for silence."""

    def __init__(self, answers: list[int | str], progress: list[float | None]) -> None:
        self.answers, self.progress = answers, progress
        self.status: int | None = None
        self.reason = ""

    def generates(self, time_left: float) -> bool:
        assert time_left == WatchdogConfig().probe_timeout_seconds
        answer = self.answers.pop(0)
        self.status = answer if isinstance(answer, int) else None
        self.reason = str(answer)
        return answer == 200

    def occupancy(self) -> Occupancy:
        value = self.progress.pop(0)
        if value is None:
            raise OccupancyError("no answer")
        return Occupancy(1, 0, progress=(value,))


@pytest.mark.parametrize(
    ("answers", "progress", "hung"),
    [
        ([200, "timeout", "timeout", "timeout"], [1, 1, 1, 1], True),
        (["timeout", "timeout", "timeout", "timeout"], [1, 1, 1, 1], True),  # the first one is the baseline
        (["timeout", "timeout", "timeout", "timeout"], [1, 2, 3, 4], False),
        ([200, "refused", "refused", "refused"], [1, None, None, None], True),
        ([200, 503, 503, 503], [1, 2, 3, 4], False),  # its queue is full, and it works it off
        ([200, 503, 503, 503], [1, 1, 1, 1], True),
        ([200, 500, 500, 500], [1, 2, 3, 4], True),
        ([200, "timeout", "timeout", 200], [1, 1, 1, 1], False),
    ],
)
def test_the_watchdog(answers: list[int | str], progress: list[float | None], hung: bool, lines: LogLines) -> None:
    engine = Engine(answers, progress)
    watchdog = Watchdog(engine, engine, WatchdogConfig(), lines.log)
    for _ in range(4):
        watchdog.step()
    assert (watchdog.verdict is not None) == hung
    if hung:
        assert str(watchdog.verdict).startswith("3 generations in a row failed without progress (last: ")
        assert len(lines.named("engine_suspect")) == 1


def test_an_engine_on_its_way_out_is_not_suspected(lines: LogLines) -> None:
    engine = Engine([200, "refused", "refused", "refused"], [1, None, None, None])
    watchdog = Watchdog(engine, engine, WatchdogConfig(), lines.log)
    watchdog.step()
    watchdog.end()
    for _ in range(3):
        watchdog.step()  # a probe under way when the engine was told to end
    assert watchdog.verdict is None
    assert not lines.named("engine_suspect")


def test_a_hang_is_judged_within_25_seconds() -> None:
    assert verdict_seconds(WatchdogConfig()) <= 25
    slow = WatchdogConfig(probe_interval_seconds=5, probe_timeout_seconds=10, strikes=3)
    assert verdict_seconds(slow) == 45
