from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from user_data.agent import group_calls
from user_data.agent.aws import AwsError
from user_data.agent.group_calls import INVALID_PATIENCE_SECONDS, GroupCalls

if TYPE_CHECKING:
    from tests.user_data.conftest import LogLines
    from user_data.agent.aws import HookResult


class Script:
    """A group that fails as often as a test says, and notes every call."""

    def __init__(self, *faults: str) -> None:
        self.faults = list(faults)
        self.calls: list[str] = []
        self.now = 0.0

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.now += 10.0
        if self.faults:
            raise AwsError(f"autoscaling:{name}", self.faults.pop(0), "no")

    def complete_lifecycle_action(self, hook: str, result: HookResult) -> None:
        self._call(f"{result} {hook}")

    def record_heartbeat(self, hook: str) -> None:
        self._call(f"beat {hook}")

    def set_unhealthy(self) -> None:
        self._call("unhealthy")

    def terminate_in_group(self) -> None:
        self._call("terminate")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_calls, "RETRY_SECONDS", 0.001)


def _calls(script: Script, lines: LogLines, stop: threading.Event | None = None) -> GroupCalls:
    return GroupCalls(script, stop or threading.Event(), lines.log, clock=lambda: script.now)


def test_a_call_is_repeated_until_it_succeeds_and_each_fault_is_told_once(lines: LogLines) -> None:
    script = Script("Throttling", "Throttling", "InternalFailure", "AccessDenied")
    assert _calls(script, lines).complete("h", "CONTINUE")
    assert script.calls == ["CONTINUE h"] * 5
    told = [line["code"] for line in lines.named("aws_call_failed")]
    assert told == ["Throttling", "InternalFailure", "AccessDenied"]
    assert [line["after"] for line in lines.named("hook_completed")] == ["AccessDenied"]


def test_a_hook_that_holds_nothing_is_given_time_and_then_believed(lines: LogLines) -> None:
    script = Script(*["ValidationError"] * 9)
    assert not _calls(script, lines).complete("h", "ABANDON")
    assert len(script.calls) == INVALID_PATIENCE_SECONDS / 10
    assert lines.named("hook_completed_not")[0]["words"] == ["h", "ABANDON"]


def test_a_hook_that_holds_nothing_yet_is_completed_when_it_does(lines: LogLines) -> None:
    assert _calls(Script("ValidationError"), lines).complete("h", "CONTINUE")


def test_a_program_that_has_to_stop_tries_once(lines: LogLines) -> None:
    stop = threading.Event()
    stop.set()
    script = Script("Throttling", "Throttling")
    assert not _calls(script, lines, stop).terminate()
    assert script.calls == ["terminate"]


def test_unhealthy_and_terminate(lines: LogLines) -> None:
    script = Script()
    calls = _calls(script, lines)
    assert (calls.set_unhealthy(), calls.terminate()) == (True, True)
    assert script.calls == ["unhealthy", "terminate"]


def test_heartbeats_come_twice_in_an_interval_and_end_with_the_block(lines: LogLines) -> None:
    script = Script("Throttling")
    times: list[float] = []
    answered = script.record_heartbeat

    def beat(hook: str) -> None:
        times.append(time.monotonic())
        answered(hook)

    script.record_heartbeat = beat  # type: ignore[method-assign]
    with _calls(script, lines).beating("h", 1.0):
        end = time.monotonic() + 10
        while len(times) < 3 and time.monotonic() < end:
            time.sleep(0.01)
    refused, first, second = times[:3]
    assert first - refused < 0.5  # a refused one is repeated long before the next is due
    assert 0.5 <= second - first < 1.0
    sent = len(times)
    time.sleep(0.6)
    assert len(times) == sent
    assert lines.named("heartbeat")[0]["after"] == "Throttling"
