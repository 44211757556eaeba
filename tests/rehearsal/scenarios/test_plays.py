"""Every check of every scenario passes on a good fleet, and is proved able to fail: alone, by one bad behaviour."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.scenarios.catalogue import SCENARIOS
from rehearsal.scenarios.play import Moment, cut_on
from rehearsal.scenarios.plays import soak
from tests.rehearsal.scenarios.acting import GOOD, acting, played
from tests.rehearsal.scenarios.support import WORKER, lost

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rehearsal.scenarios.checks import Check
    from rehearsal.scenarios.pace import PaceName
    from rehearsal.scenarios.runner import Result

LOST, BUSY = "requests lost without a reason", "requests in flight at the busiest moment"

pytestmark = pytest.mark.slow

UNROUTED = "*: out of routing after the state change"
HOOK = "*: hook completed after its last request"
ROUTING, SERVICE = "fewest workers in routing", "fewest workers in service"
NOTICED, RECOVERED = "times discovery said that AWS is away", "discovery has AWS again"
STEADY = "decisions on a steady load of * s"
HELD = "held its place before it was replaced"
# `replay` is judged by the simulator (test_simulated.py), which no made-up fleet agrees with.
JUDGED_ALONE = tuple(name for name in SCENARIOS if name != "replay")
EVERYWHERE = ((LOST, {"loses_first": True}), (BUSY, {"idle_slots": 1}))


@dataclass(frozen=True)
class Proof:
    """This behaviour makes this check of this scenario fail, and no other."""

    scenario: str
    check: str
    bad: dict[str, Any]
    pace: PaceName = "short"


PROOFS = (
    *(Proof(scenario, check, bad) for scenario in JUDGED_ALONE for check, bad in EVERYWHERE),
    Proof("scale-in", LOST, {"drains": False}),
    Proof("scale-in", UNROUTED, {"unrouted_after": 3.5}),
    Proof("scale-in", HOOK, {"hook_after": 5.5}),
    Proof("scale-in", HOOK, {"hook_words": "deadline"}),
    Proof("long-stream", UNROUTED, {"unrouted_after": 3.5}),
    Proof("long-stream", HOOK, {"hook_after": 5.5}),
    Proof("long-stream", "heartbeats seen", {"beats": False}),
    Proof("long-stream", "longest request on a worker that left", {"longest": 29.0}),
    Proof("long-stream", "workers at the end", {"launches_for_the_gone": True}),
    Proof("scale-out", "*: first request after InService", {"routed_after": 5.5}),
    Proof("scale-out", "*: part of its fair share within * s", {"weight_of_new": 0.2}),
    Proof("scale-out", "prefix hit rate *, relative to * before", {"cached_after_growth": 380}),
    Proof("load-step", LOST, {"drains": False}),
    Proof("load-step", STEADY, {"fidgets": "on a steady load"}),
    Proof("load-step", "decision after the step", {"decides_after": 30.5}),
    Proof("load-step", "first request on a new worker after the step", {"boot": 40.0}),
    Proof("load-step", "decisions to grow after the load fell", {"fidgets": "after the load fell"}),
    Proof("load-step", "back at the smallest fleet after the load fell", {"shrinks_after": None}),
    Proof("rollout", LOST, {"drains": False}),
    Proof("rollout", "workers of the old version left", {"refresh_forgets": 1}),
    Proof("rollout", "workers in service at any moment", {"refresh_at_once": True}),
    Proof("spot-notice", LOST, {"drains": False}),
    Proof("spot-notice", "out of routing after the notice", {"unrouted_after": 10.5}),
    Proof("worker-killed", LOST, {"loses_unanswered": True}),
    Proof("worker-killed", "it serves again, or is replaced", {"restarts_after": 61.0}),
    Proof("worker-killed", "it serves again, or is replaced", {"restarts_after": None}),
    Proof("worker-hangs", LOST, {"loses_unanswered": True}),
    Proof("worker-hangs", "out of routing", {"dead_unrouted_after": 10.5}),
    Proof("worker-hangs", "replaced, or serving again", {"hang_ends_after": 81.0}),
    Proof("worker-hangs", "replaced, or serving again", {"restarts_after": None}),
    Proof("never-ready", "never in service", {"broken_gets_ready": True}),
    Proof("never-ready", "`fleet why` tells the engine's last words", {"says_why": False}),
    Proof("never-ready", "hosts launched meanwhile", {"gives_up_after": 5.0}),
    Proof("never-ready", HELD, {"gives_up_after": 298.0}, "full"),
    Proof("never-ready", HELD, {"gives_up_after": 9999.0}, "full"),
    Proof("router-killed", "serving again with the complete fleet", {"router_back_after": 10.5}),
    Proof("router-killed", "serving again with the complete fleet", {"router_back_after": None}),
    Proof("router-replaced", "serves again at the same address", {"router_back_after": None}),
    *(Proof(name, NOTICED, {"notices_aws": False}) for name in ("aws-down", "aws-throttled")),
    *(Proof(name, RECOVERED, {"aws_back_after": 5.5}) for name in ("aws-down", "aws-throttled")),
    *(
        Proof(name, check, {"outage_takes": what})
        for name in ("aws-down", "aws-throttled", "aws-slow", "metadata-down")
        for check, what in ((ROUTING, "routing"), (SERVICE, "service"))
    ),
    Proof("no-capacity", "the capacity came", {"boot": None}),
    Proof("no-capacity", "zones of the new workers", {"uses_full_zone": True}),
    Proof("no-capacity", "activities that say why", {"says_capacity": False}),
    Proof("soak", LOST, {"loses_unanswered": True}),
    Proof("soak", "memory of worker of * (process *): growth", {"grows": "worker"}),
    Proof("soak", "memory of router of * (process *): growth", {"grows": "router"}),
    Proof("soak", "watched for growth", {"router_is_seen": False}),
)


def family(check: Check) -> str:
    """A check's name without instance ids and figures."""
    return re.sub(r"\bi-\w+|\d+(\.\d+)?", "*", check.name)


@cache
def on_a_good_fleet(scenario: str, pace: PaceName) -> Result:
    return played(SCENARIOS[scenario], GOOD, pace)


def families(checks: Iterable[Check]) -> set[str]:
    return {family(check) for check in checks if check.wanted != "measured"}


@pytest.mark.parametrize("pace", ["short", "full"])
@pytest.mark.parametrize("scenario", JUDGED_ALONE)
def test_a_good_fleet_passes_every_check(scenario: str, pace: PaceName) -> None:
    result = on_a_good_fleet(scenario, pace)
    assert [check for check in result.checks if not check.passed] == []
    assert result.ledger.total.complete > 12


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: f"{proof.scenario}: {proof.check} {proof.bad}")
def test_a_bad_fleet_fails_just_the_check_for_it(proof: Proof) -> None:
    result = played(SCENARIOS[proof.scenario], replace(GOOD, **proof.bad), proof.pace)
    assert families(check for check in result.checks if not check.passed) == {proof.check}
    assert not result.passed


@pytest.mark.parametrize("scenario", JUDGED_ALONE)
def test_every_check_has_a_proof_that_it_can_fail(scenario: str) -> None:
    yielded = [check for pace in ("short", "full") for check in on_a_good_fleet(scenario, pace).checks]
    assert families(yielded) == {proof.check for proof in PROOFS if proof.scenario == scenario}


def test_a_fleet_that_takes_a_worker_for_a_moment_only_is_seen() -> None:
    """An outage's worker is back after three seconds: the least of all moments counts, not the last."""
    result = played(SCENARIOS["metadata-down"], replace(GOOD, outage_takes="routing"))
    assert [check.seen for check in result.checks if check.name == ROUTING] == ["3"]


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("worker-killed", "had got bytes from the killed engine"),
        ("worker-hangs", "had got bytes from the engine that hung"),
        ("router-killed", "was in flight through the killed router"),
        ("router-replaced", "was in flight through the host that was replaced"),
    ],
)
def test_what_a_fault_must_cut_is_listed_with_the_reason(scenario: str, reason: str) -> None:
    ledger = on_a_good_fleet(scenario, "short").ledger
    assert {loss.explanation for loss in ledger.losses} == {reason}
    assert ledger.total.explained == len(ledger.losses) > 0


@pytest.mark.parametrize("scenario", JUDGED_ALONE)
def test_an_order_takes_a_moment_in_which_its_losses_happen(scenario: str) -> None:
    """The cloud answers once the engine is dead: its clients may know before the scenario does."""
    assert played(SCENARIOS[scenario], replace(GOOD, order_takes=0.01)).ledger.unexplained == ()


@pytest.mark.parametrize(
    ("changes", "cut"),
    [
        ({"first_byte": 104.0, "ended": 105.0}, True),
        ({"first_byte": 104.0, "ended": 150.0}, True),
        ({"first_byte": 104.0, "ended": 104.5}, False),
        ({"first_byte": 105.5, "ended": 106.5}, True),  # between the order and its being carried out
        ({"first_byte": 106.5, "ended": 107.0}, False),
        ({"first_byte": None, "ended": 107.0}, False),
        ({"first_byte": 104.0, "ended": 107.0, "worker": "http://127.64.1.6:30000"}, False),
        ({"first_byte": 104.0, "ended": 107.0, "worker": None}, False),
    ],
)
def test_cut_is_only_what_had_bytes_before_and_ended_after_on_that_worker(changes: dict[str, Any], cut: bool) -> None:
    explained = cut_on(WORKER, Moment(105.0, 106.0), "killed")(lost("a", **changes))
    assert explained == ("killed" if cut else None)


@pytest.mark.parametrize(
    ("sent", "first_byte", "ended", "mine", "explained"),
    [
        (-5.0, -4.0, 119.0, True, True),  # began before the notice, and the two minutes are over
        (5.0, 6.0, 106.0, True, True),  # sent while the router may not know yet
        (-5.0, -4.0, 60.0, True, False),  # there was time to end
        (15.0, 16.0, 119.0, True, False),  # should have been sent to another worker
        (-5.0, None, 119.0, True, False),  # had no byte: could be sent again
        (-5.0, -4.0, 119.0, False, False),
    ],
)
def test_a_spot_notice_explains_what_could_not_end_in_time(
    sent: float, first_byte: float | None, ended: float, mine: bool, explained: bool
) -> None:
    with acting() as (stage, fleet):
        begun, victim = fleet.now, stage.serving[0].url
        explain = SCENARIOS["spot-notice"].play(stage).explain
    worker = victim if mine else WORKER
    first = None if first_byte is None else begun + first_byte
    reason = explain(lost("a", worker=worker, sent=begun + sent, first_byte=first, ended=begun + ended))
    assert reason == ("cut by the deadline of the spot notice" if explained else None)


@pytest.mark.parametrize("scenario", ["router-killed", "router-replaced"])
@pytest.mark.parametrize(
    ("sent", "ended", "explained"), [(-5.0, -1.0, False), (-5.0, 1.0, True), (1.0, 2.0, True), (60.0, 61.0, False)]
)
def test_a_dead_router_explains_what_was_in_flight_until_it_was_back(
    scenario: str, sent: float, ended: float, explained: bool
) -> None:
    with acting() as (stage, fleet):
        begun = fleet.now
        explain = SCENARIOS[scenario].play(stage).explain
    assert bool(explain(lost("a", sent=begun + sent, ended=begun + ended))) == explained


def test_names_are_unique_and_titles_say_something() -> None:
    assert list(SCENARIOS) == [scenario.name for scenario in SCENARIOS.values()]
    assert len({scenario.title for scenario in SCENARIOS.values()} - {""}) == len(SCENARIOS) == 18


def test_the_soak_plays_every_step_and_explains_what_it_cut() -> None:
    ledger = on_a_good_fleet("soak", "short").ledger
    reasons = {loss.explanation for loss in ledger.losses}
    assert reasons == {"had got bytes from a killed engine", "had got bytes from an engine that hung"}
    (happened,) = (c for c in on_a_good_fleet("soak", "short").checks if c.name == "things that happened")
    assert float(happened.seen) >= len(soak.STEPS)


def test_memory_of_what_has_ended_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "statm").write_text("900 10 3")
    monkeypatch.setattr(soak, "PROC", tmp_path)
    assert soak.memory_kib({"router": 1, "gone": 2}) == {"router": 40}


def test_a_process_that_has_just_started_has_not_settled() -> None:
    settled, seen = soak.with_settled({}, frozenset(), {"discovery": 40})
    assert settled == {}
    settled, seen = soak.with_settled(settled, seen, {"discovery": 70, "worker": 60})
    assert settled == {"discovery": 70}
    settled, seen = soak.with_settled(settled, seen, {"discovery": 71, "worker": 61})
    assert settled == {"discovery": 70, "worker": 61}


def test_growth_is_of_the_processes_that_live_on() -> None:
    assert soak.growth_percent({"a": 100, "b": 100, "gone": 9}, {"a": 150, "b": 90, "new": 1}) == {"a": 50, "b": -10}
