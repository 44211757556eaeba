from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from rehearsal.commands import StepFailedError
from rehearsal.scenarios import runner
from rehearsal.scenarios.checks import holds
from rehearsal.scenarios.play import Played, Scenario
from rehearsal.scenarios.runner import busiest, play
from tests.rehearsal.scenarios.acting import GOOD, acting, played
from tests.rehearsal.scenarios.support import entry, record

if TYPE_CHECKING:
    from rehearsal.scenarios.stage import Stage
    from tests.rehearsal.scenarios.behaviour import Behaviour

QUIET = Scenario("quiet", "nothing happens", lambda _stage: Played(lambda _evidence: []))
EXPLAINED = replace(QUIET, play=lambda _stage: Played(lambda _evidence: [], lambda _record: "had to be"))
UNMET = replace(QUIET, play=lambda _stage: Played(lambda _evidence: [holds("something good", seen=False)]))
LOSES, IDLE = replace(GOOD, loses_first=True), replace(GOOD, idle_slots=1)


def failed(result: runner.Result) -> list[str]:
    return [check.name for check in result.checks if not check.passed]


@pytest.mark.parametrize(
    ("scenario", "behaviour", "failures"),
    [
        (QUIET, GOOD, []),
        (QUIET, LOSES, ["requests lost without a reason"]),
        (EXPLAINED, LOSES, []),
        (QUIET, IDLE, ["requests in flight at the busiest moment"]),
        (EXPLAINED, IDLE, ["requests in flight at the busiest moment"]),
        (UNMET, GOOD, ["something good"]),
    ],
)
def test_a_run_is_judged(scenario: Scenario, behaviour: Behaviour, failures: list[str]) -> None:
    result = played(scenario, behaviour)
    assert failed(result) == failures
    assert result.passed == (not failures)


def test_only_lost_requests_are_explained() -> None:
    (loss,) = played(EXPLAINED, LOSES).ledger.losses
    assert loss.explanation == "had to be"
    assert played(EXPLAINED).ledger.losses == ()


@pytest.mark.parametrize(("real", "lost"), [(False, 1), (True, 0)])
def test_the_engines_own_books_count_where_they_keep_some(
    monkeypatch: pytest.MonkeyPatch, real: bool, lost: int
) -> None:
    with acting() as (stage, fleet):
        monkeypatch.setattr(runner, "engine_ledgers", lambda _work: (entry(fleet.records[0].id, sha256="other"),))
        stage.real_engine = real
        assert play(QUIET, stage).ledger.total.lost == lost


def test_load_and_timeline_stop_when_the_play_fails() -> None:
    def stuck(stage: Stage) -> Played:
        stage.wait("pigs fly", lambda: False, 5)
        raise AssertionError

    with acting() as (stage, fleet):
        with pytest.raises(StepFailedError, match="after 5 s still not: pigs fly"):
            play(replace(QUIET, play=stuck), stage)
        assert fleet.samples
        assert (fleet.plan, fleet.look) == (None, None)


def test_a_run_begins_with_a_whole_fleet_only() -> None:
    with acting(replace(GOOD, boot=None)) as (stage, fleet):
        fleet.workers.popitem()
        with pytest.raises(StepFailedError, match="4 workers serve and none is on its way"):
            play(QUIET, stage)
        assert fleet.records == []


@pytest.mark.parametrize(("seconds", "used"), [(20.0, True), (3.0, False)])
def test_a_scenario_may_want_longer_streams_and_no_shorter_ones(seconds: float, used: bool) -> None:
    with acting() as (stage, fleet):
        play(replace(QUIET, stream_seconds=(seconds, seconds)), stage)
    assert ({round(one.seconds, 6) for one in fleet.records} == {seconds}) == used


def test_a_result_is_shown_and_written() -> None:
    result = played(UNMET, LOSES)
    document = json.loads(json.dumps(result.as_json()))
    assert (document["scenario"], document["passed"], document["ledger"]["total"]["lost"]) == ("quiet", False, 1)
    assert {"name": "something good", "wanted": "yes", "seen": "no", "passed": False} in document["checks"]
    console = Console(width=160, record=True, file=StringIO())
    console.print(result.show())
    text = console.export_text()
    assert "quiet: nothing happens FAIL" in text
    assert "something good" in text
    assert "LOST stream" in text


@pytest.mark.parametrize(
    ("spans", "most"),
    [
        ((), 0),
        (((1.0, 2.0),), 1),
        (((1.0, 2.0), (2.0, 3.0)), 1),  # one slot's next request is not a second one in flight
        (((1.0, 4.0), (2.0, 3.0), (2.5, 5.0)), 3),
        (((1.0, 4.0), (2.0, 3.0), (3.5, 5.0)), 2),
    ],
)
def test_the_busiest_moment(spans: tuple[tuple[float, float], ...], most: int) -> None:
    assert busiest([record(f"r{n}", sent=sent, ended=ended) for n, (sent, ended) in enumerate(spans)]) == most


def test_a_scenario_plays_on_a_group_that_does_not_scale_by_itself_also_after_an_apply() -> None:
    seen = []

    def applies(stage: Stage) -> Played:
        seen.append(fleet.autopilot.held)
        stage.apply("a stack", {})
        seen.append(fleet.autopilot.held)
        return Played(lambda _evidence: [])

    with acting() as (stage, fleet):
        play(replace(QUIET, play=applies), stage)
        stage.apply("a stack", {})
        assert [*seen, fleet.autopilot.held] == [True, True, False]


def test_a_part_of_the_load_begins_and_a_play_adds_more() -> None:
    def adds(stage: Stage) -> Played:
        stage.more_load(9)
        stage.hold(1.0, "more")
        return Played(lambda _evidence: [])

    with acting() as (stage, _fleet):
        quiet = play(replace(QUIET, load_share=0.25), stage)
        busy = play(replace(QUIET, load_share=0.25, play=adds), stage)
    wanted = [check.wanted for result in (quiet, busy) for check in result.checks if "busiest" in check.name]
    assert wanted == [">= 3", ">= 12"]
    assert not failed(busy)


def test_load_can_be_added_during_a_play_only() -> None:
    with acting() as (stage, _fleet), pytest.raises(RuntimeError, match="while a scenario is played only"):
        stage.more_load(1)
