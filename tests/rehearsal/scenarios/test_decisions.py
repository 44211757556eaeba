"""What a group decided, read from the causes of its activities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rehearsal.scenarios.decisions import decisions

BEGUN = datetime(2026, 11, 24, 16, 0, 0, tzinfo=UTC)


def activity(
    seconds: float, before: int, after: int, who: str = "a monitor alarm high in state ALARM"
) -> dict[str, Any]:
    at = BEGUN + timedelta(seconds=seconds)
    change = f"changing the desired capacity from {before} to {after}."
    cause = f"At {BEGUN:%Y-%m-%dT%H:%M:%SZ} {who} triggered policy out {change}"
    return {"StartTime": at, "Cause": f"{cause}  At {at:%Y-%m-%dT%H:%M:%SZ} an instance was started."}


def test_two_launches_of_one_decision_are_one() -> None:
    (one,) = decisions([activity(5, 2, 4), activity(3, 2, 4)], BEGUN.timestamp())
    assert (one.at - BEGUN.timestamp(), one.policy, one.before, one.after, one.grows) == (3, "out", 2, 4, True)


def test_they_come_in_order_and_from_a_moment_on() -> None:
    found = decisions([activity(90, 4, 3), activity(30, 2, 4), activity(1, 1, 2)], BEGUN.timestamp() + 10)
    assert [(one.before, one.after, one.grows) for one in found] == [(2, 4, True), (4, 3, False)]


def test_what_a_person_or_a_health_check_did_is_no_decision() -> None:
    by_hand = {
        "StartTime": BEGUN,
        "Cause": "At 2026-11-24T16:00:00Z a user request explicitly set group desired capacity",
    }
    assert decisions([by_hand, {"StartTime": BEGUN}], 0.0) == []
