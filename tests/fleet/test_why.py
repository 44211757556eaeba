"""Which workers need an explanation, and what it is. The command itself runs in test_status_and_why.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet.host_log import parse_line
from fleet.reasons import Evidence, Finding, explain, failed_launches, suspects, timeline
from fleet.remedies import remedy_for
from tests.fleet.made_up import HOUR_AGO, LEFT, NO_ROOM, SERVING, STARTING, activity, agent_line, ago, pool, worker

LAUNCH = f"Launching a new EC2 instance: {LEFT}"
EXIT = f"Terminating EC2 instance: {LEFT}"
ABANDONED = "Lifecycle Action with token t was abandoned: Lifecycle Action Completed with ABANDON Result"
OUT_OF_MEMORY = ("Traceback (most recent call last):", "torch.OutOfMemoryError: CUDA out of memory.")
GAVE_UP: dict[str, Any] = {
    "level": "error",
    "reason": "4 failures within restart_window_seconds=600, more than max_restarts=3",
    "last_failure": "the engine ended with 1 before it was ready: Traceback\nmore",
    "engine_log": OUT_OF_MEMORY,
}


def explained(name: str = LEFT, **given: Any) -> Finding:
    return explain(Evidence(name, "default", **({"worker": None, "activities": ()} | given)))


def test_who_serves_or_rests_needs_no_explanation() -> None:
    made = pool(worker(), worker(STARTING, "Pending:Wait"), worker(LEFT, "Warmed:Stopped"))
    assert suspects(made, (), HOUR_AGO) == (STARTING,)
    assert suspects(pool(worker(healthy=False)), (), HOUR_AGO) == (SERVING,)


@pytest.mark.parametrize(
    ("entry", "suspected"),
    [
        (activity(LAUNCH, "Cancelled", ABANDONED), True),
        (activity(LAUNCH, "Cancelled", ABANDONED, at=100), False),
        (activity(LAUNCH), False),
        (activity(EXIT, cause="an instance was taken out of service in response to a user health-check."), True),
        (activity(EXIT, cause="... a difference between desired and actual capacity, shrinking ..."), False),
    ],
)
def test_who_left_without_serving_or_as_unhealthy_lately_does(entry: Any, suspected: bool) -> None:
    assert suspects(pool(worker(), activities=(entry,)), (), HOUR_AGO) == ((LEFT,) if suspected else ())


def test_who_gave_up_in_its_log_does_too_but_once() -> None:
    told = (agent_line(LEFT, "worker_not_ready"), agent_line(LEFT, "worker_not_ready"), agent_line(SERVING, "x"))
    assert suspects(pool(worker()), told, HOUR_AGO) == (LEFT,)


def test_a_worker_that_gave_up_says_why_with_phase_log_and_remedy() -> None:
    lines = (
        agent_line(LEFT, "boot_phase", at=9, phase="key_fetched"),
        agent_line(LEFT, "boot_phase", at=8, phase="engine_spawned"),
        agent_line(LEFT, "worker_not_ready", at=7, **GAVE_UP),
        agent_line(LEFT, "replacement_asked", at=7),
    )
    found = explained(agent=lines, activities=(activity(LAUNCH, "Cancelled", ABANDONED),))
    assert (found.state, found.phase, found.since) == ("gone", "engine_spawned", ago(9))
    assert found.reason == f"{GAVE_UP['reason']}; the engine ended with 1 before it was ready: Traceback"
    assert found.log == OUT_OF_MEMORY
    assert found.remedy is not None
    assert found.remedy.startswith("lower engine.mem_fraction_static")


def test_a_host_whose_agent_is_silent_shows_what_cloud_init_wrote() -> None:
    line = parse_line(f"{STARTING}/cloud-init", 0, "boot.sh: pip: not found")
    found = explained(STARTING, worker=worker(STARTING, "Pending:Wait"), output=(line,))
    assert found.reason == "starting: its agent has not written a line yet"
    assert found.log == ("boot.sh: pip: not found",)


def test_a_worker_on_its_way_out_tells_the_groups_cause() -> None:
    leaving = activity(f"Terminating EC2 instance: {STARTING}", "MidLifecycleAction", cause="a user health-check.")
    found = explained(STARTING, worker=worker(STARTING, "Terminating:Wait"), activities=(leaving,))
    assert (found.reason, found.since) == ("on its way out: a user health-check.", leaving.start)


def test_a_failure_that_is_being_retried_is_the_reason() -> None:
    failed = agent_line(
        STARTING, "failed", level="error", kind="AwsError", message="ssm:GetParameter: ParameterNotFound: "
    )
    found = explained(STARTING, worker=worker(STARTING, "Pending:Wait"), agent=(failed,))
    assert found.reason == "ssm:GetParameter: ParameterNotFound:"
    assert found.remedy == "the SSM parameter is not there: `fleet init` makes the API key"


def test_launches_without_an_instance_are_told_once_for_each_zone() -> None:
    first = activity("Launching a new EC2 instance", "Failed", NO_ROOM)
    other = replace(first, zone="us-east-1b", message=NO_ROOM.replace("1a", "1b"))
    stale = replace(first, start=ago(100), message="old")
    found = failed_launches(pool(activities=(first, other, replace(first, start=ago(20)), stale)), HOUR_AGO)
    assert [one.state for one in found] == ["launch failed in us-east-1a, 2 times", "launch failed in us-east-1b"]
    assert found[0].remedy is not None
    assert "network.availability_zones" in found[0].remedy


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("CUDA error: no kernel image is available for execution on the device", "the engine's kernels hold no code"),
        ("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", "raise engine.mem_fraction"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", "lower engine.mem_fraction_static"),
        ("You have requested more vCPU: VcpuLimitExceeded", "ask for a higher EC2 quota"),
        ("not ready within ready_timeout_seconds=1800", "if the engine was still at work, raise"),
        ("was abandoned: Heartbeat Timeout", "the agent did not answer in time"),
    ],
)
def test_known_words_lead_to_a_remedy(text: str, begins: str) -> None:
    found = remedy_for(["nothing special", text])
    assert found is not None
    assert found.startswith(begins)


def test_unknown_words_lead_to_none() -> None:
    assert remedy_for(["KeyError: 'x'"]) is None


def test_the_engines_own_words_count_more_than_what_followed() -> None:
    late = agent_line(
        LEFT, "worker_not_ready", reason="not ready within ready_timeout_seconds=60", engine_log=OUT_OF_MEMORY
    )
    assert "lower engine.mem_fraction_static" in (explained(agent=(late,)).remedy or "")


def test_a_timeline_is_in_order_without_heartbeats_and_keeps_lines_that_are_not_json() -> None:
    lines = (
        agent_line(LEFT, "heartbeat", at=8),
        agent_line(LEFT, "boot_phase", at=7, phase="key_fetched", seconds=1.5),
        parse_line(f"{LEFT}/agent", int(ago(6).timestamp() * 1000), "systemd[1]: restarted"),
    )
    moments = timeline((activity(LAUNCH, "Cancelled", ABANDONED, at=6.5),), lines)
    assert [(moment.source, moment.text) for moment in moments] == [
        ("agent", "boot_phase phase=key_fetched seconds=1.5"),
        ("group", f"{LAUNCH}. wanted"),
        ("agent", "systemd[1]: restarted"),
        ("group", f"launch cancelled: {ABANDONED}"),
    ]
