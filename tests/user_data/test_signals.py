from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from user_data.agent.metadata import MetadataError, SpotNotice
from user_data.agent.signals import NOTICE_SECONDS, Signals, Watch

if TYPE_CHECKING:
    from tests.user_data.conftest import LogLines

NOTICE = SpotNotice(action="terminate", time=datetime(2026, 11, 23, 8, 22, tzinfo=UTC))


class Told:
    """A metadata service that says what a test sets, and counts."""

    def __init__(self) -> None:
        self.target: str | None = "InService"
        self.spot: SpotNotice | None = None
        self.rebalance = False
        self.away = False
        self.notices_asked = 0

    def target_lifecycle_state(self) -> str | None:
        if self.away:
            raise MetadataError("no answer")
        return self.target

    def spot_notice(self) -> SpotNotice | None:
        self.notices_asked += 1
        return self.spot

    def rebalance_recommended(self) -> bool:
        return self.rebalance


@pytest.mark.parametrize(
    ("target", "way"),
    [
        (None, "serve"),
        ("InService", "serve"),
        ("Standby", "serve"),
        ("Detached", "serve"),
        ("Warmed:Stopped", "warm"),
        ("Warmed:Running", "warm"),
        ("Warmed:Terminated", "leave"),
        ("Terminated", "leave"),
    ],
)
def test_the_target_state_says_the_way(target: str | None, way: str) -> None:
    assert Signals(target).way == way


def test_the_last_signals_hold_while_the_metadata_service_is_away(lines: LogLines) -> None:
    told = Told()
    watch = Watch(told, lines.log)
    assert watch.look(0.0).way == "serve"
    told.away = True
    told.target = "Terminated"
    assert [watch.look(float(now)).way for now in range(1, 4)] == ["serve"] * 3
    told.away = False
    assert watch.look(4.0).way == "leave"
    assert [line["keeping"] for line in lines.named("metadata_unavailable")] == ["InService"]
    assert len(lines.named("metadata_available")) == 1


def test_notices_are_asked_for_every_five_seconds_and_told_once(lines: LogLines) -> None:
    told = Told()
    watch = Watch(told, lines.log)
    watch.look(0.0)
    told.spot, told.rebalance = NOTICE, True
    assert watch.look(NOTICE_SECONDS - 0.1).spot is None
    assert watch.look(NOTICE_SECONDS) == Signals("InService", NOTICE, rebalance=True)
    assert watch.look(NOTICE_SECONDS * 2).spot == NOTICE
    assert told.notices_asked == 3
    assert [line["time"] for line in lines.named("spot_notice")] == ["2026-11-23T08:22:00+00:00"]
    assert len(lines.named("rebalance_recommended")) == 1


def test_a_new_target_is_told(lines: LogLines) -> None:
    told = Told()
    watch = Watch(told, lines.log)
    watch.look(0.0)
    told.target = "Terminated"
    watch.look(0.5)
    watch.look(1.0)
    changes = [(line["was"], line["now"]) for line in lines.named("target_lifecycle_state")]
    assert changes == [(None, "InService"), ("InService", "Terminated")]
