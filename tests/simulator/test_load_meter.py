from __future__ import annotations

import pytest

from rehearsal.engine.timing import Rates
from simulator.cluster import Interval, Slo
from simulator.load_meter import LoadMeter, speeds_of
from user_data.agent.prompt_load import bearable

SPEEDS = speeds_of(Rates(), Slo())


def test_the_meter_reads_what_the_workers_computed_and_answered() -> None:
    meter = LoadMeter(SPEEDS)
    seen = Interval(0, 10, completed=4, ready=2, prompt_tokens=6600, cached_tokens=2200, output_tokens=804)
    share = 4400 / 10 / 2200 / 2
    bears = bearable(1100 / 2200, 200 * SPEEDS.token_seconds, SPEEDS)
    assert meter.read(seen) == pytest.approx(100 * share / bears)


def test_the_meter_forgets_a_burst_after_a_minute_and_a_half() -> None:
    meter = LoadMeter(SPEEDS)
    meter.read(Interval(0, 10, completed=4, ready=1, prompt_tokens=4400, output_tokens=804))
    loads = [meter.read(Interval(at, at + 10, ready=1)) for at in range(10, 110, 10)]
    assert all(loads[:8])
    assert loads[8] == 0
