"""What a rehearsal recorded, through the simulator, and how the two are compared."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from rehearsal.deployment import rehearsal_overrides
from rehearsal.options import ENVIRONMENT
from rehearsal.scenarios.simulated import Change, Fleet, share_within, simulated, trace_of, worst_lag
from settings.load import load_settings
from simulator.cluster import Slo
from simulator.recipes import OurNumbers
from tests.rehearsal.scenarios.support import lost, record

pytestmark = pytest.mark.slow  # the simulator's kernel is compiled

SLO = Slo(2.0, 0.25)
NUMBERS = OurNumbers(
    target_load=6.0, quiet_seconds=60, remaining_share=0.7, kv_usage=0.9, warmup=40.0, target_prompt_load=0.0
)
FLEET = Fleet(min_size=2, max_size=8, initial=2, boot_seconds=5.0)


@pytest.mark.parametrize(
    ("here", "there", "lag"),
    [
        ([], [], 0.0),
        ([(35.0, 4)], [(40.0, 4)], 5.0),
        ([(35.0, 4), (120.0, 3)], [(50.0, 4), (118.0, 3)], 15.0),
        ([(35.0, 4)], [(35.0, 3)], inf),  # another size
        ([(35.0, 4)], [], inf),
        ([], [(35.0, 4)], inf),
        ([(35.0, 4), (141.0, 3)], [(35.0, 4)], 0.0),  # so late that the other side did not look any more
        ([(35.0, 4)], [(35.0, 4), (141.0, 3)], 0.0),
        ([(35.0, 4), (100.0, 3)], [(35.0, 4)], inf),
    ],
)
def test_changes_are_compared_in_order(here: list[Change], there: list[Change], lag: float) -> None:
    assert worst_lag(here, there, until=160.0, tolerance=20.0) == lag


def test_attainment_counts_first_token_and_pace_and_what_was_lost() -> None:
    good = record("a", sent=100.0, first_byte=101.0, ended=103.0, completion_tokens=11)
    late = replace(good, id="b", first_byte=102.5, ended=104.5)
    slow = replace(good, id="c", ended=104.0)
    assert share_within([good, late, slow, lost("d")], SLO) == 0.25


def test_a_trace_is_what_was_sent_in_order_of_time() -> None:
    sent = [record(name, sent=at, prompt_tokens=size, expected_tokens=8) for name, at, size in
            (("b", 103.0, 20), ("a", 101.0, 10))]  # fmt: skip
    (chunk,) = trace_of(sent, 100.0).chunks()
    assert (list(chunk.arrival), list(chunk.prompt), list(chunk.output)) == ([1.0, 3.0], [10, 20], [8, 8])


@pytest.mark.parametrize(("rate", "grows"), [(1.0, False), (6.0, True)])
def test_the_simulator_grows_on_a_load_that_is_too_much(rate: float, grows: bool) -> None:
    count = int(120 * rate)
    sent = [
        record(f"r{number}", sent=1000.0 + number / rate, prompt_tokens=600, expected_tokens=16)
        for number in range(count)
    ]
    settings = load_settings(ENVIRONMENT, rehearsal_overrides("emulator", None, 1))
    seen = simulated(sent, 1000.0, 120.0, settings, NUMBERS, FLEET, SLO)
    assert (seen.attainment < 0.9) is grows
    assert bool(seen.changes) is grows
    assert all(at >= 30.0 and size > 2 for at, size in seen.changes), "three points above the target come first"
