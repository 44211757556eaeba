"""A trace with a step that two workers cannot carry: the group grows, and the simulator must have said the same.

The trace is an open loop: requests come when the trace says, however long the queue. Both sides have the same timing
of engines (rehearsal.engine.timing) and the same policy; what differs is all that the simulator leaves out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from rehearsal.scenarios.checks import Check, at_most, told
from rehearsal.scenarios.decisions import decisions
from rehearsal.scenarios.load import Timed
from rehearsal.scenarios.play import Evidence, Played, Scenario
from rehearsal.scenarios.plays.load_step import QUIET_SECONDS, SETTLE_SECONDS, WARMUP_SECONDS
from rehearsal.scenarios.prompts import Ask, system_prompt
from rehearsal.scenarios.stage import Stage
from settings import naming
from user_data.node_config import METRIC_INTERVAL_SECONDS

LOW, HIGH = 0.75, 2.5
"""Requests per second: with HIGH some requests miss the SLO on two engines, yet no queue grows without end: there the
smallest difference of speed would decide."""
PROMPT_TOKENS, OUTPUT_TOKENS = 600, 16
"""Means; sizes vary as simulator.traces.rates says."""
LONGEST_PROMPT = 8192
TARGET_LOAD = 1.8
"""So low that the load of HIGH asks for more than there may be: how far the group grows is no chance."""
TTFT_SECONDS, ITL_SECONDS = 1.0, 0.25
"""Between the tokens longer than in production, as the emulated engines of scenarios are slow (pace.EMULATOR)."""
ATTAINMENT_TOLERANCE, TIME_TOLERANCE = 10.0, 20.0
"""Points of a hundred, and seconds (docs/scaling.md): what a busy machine adds, and two steps of the simulator."""
SEED = 1


def timed(stage: Stage) -> list[Timed]:
    """The requests of the trace; the same each time for the same pace."""
    from simulator.traces.rates import RateTrace  # noqa: PLC0415 - only this play needs the simulator

    edges = np.concatenate([[0.0], np.cumsum(stage.pace.replay_seconds)])
    means = np.full(3, float(PROMPT_TOKENS)), np.full(3, float(OUTPUT_TOKENS))
    rates = RateTrace("replay", edges[:-1], np.array([LOW, HIGH, LOW]), *means)
    chunks = rates.arrivals(SEED).chunks()
    rows = chain.from_iterable(zip(chunk.arrival, chunk.prompt, chunk.output, strict=True) for chunk in chunks)
    name = f"replay-{int(time.time())}"
    return [
        Timed(float(at), _ask(stage, name, number, int(prompt), int(output)))
        for number, (at, prompt, output) in enumerate(rows)
        if at < edges[-1]
    ]


def _ask(stage: Stage, name: str, number: int, prompt: int, output: int) -> Ask:
    """A stream whose prompt no cache holds."""
    return Ask(
        id=f"{name}-{number:06d}",
        model=stage.models[number % len(stage.models)],
        streamed=True,
        prompt_key=f"request {number}",
        system=system_prompt(number, number, min(prompt, LONGEST_PROMPT)),
        question=f"Question {number}?",
        max_tokens=output,
    )


def _play(stage: Stage) -> Played:
    pool = naming.workers_stack(stage.settings.workers[0].name)
    stage.say("applying a scaling policy that fits the trace")
    stage.apply(
        pool,
        {
            "workers[0].min_size": stage.pace.fewer,
            "workers[0].max_size": stage.pace.workers,
            "workers[0].scaling.target_load": TARGET_LOAD,
            "workers[0].scaling.scale_in_cooldown_seconds": QUIET_SECONDS,
            "workers[0].scaling.instance_warmup_seconds": WARMUP_SECONDS,
        },
    )
    stage.resize(stage.pace.fewer)
    stage.wait("the smallest fleet serves", lambda: stage.settled(stage.pace.fewer), SETTLE_SECONDS)
    requests, seconds = timed(stage), sum(stage.pace.replay_seconds)
    # The simulator takes its points at whole steps, the agent in the middle of a period.
    time.sleep((METRIC_INTERVAL_SECONDS / 2 - time.time()) % METRIC_INTERVAL_SECONDS)
    start = time.time()
    stage.release_scaling()
    load = stage.replay(requests)
    stage.hold(seconds, f"{len(requests)} requests of the trace")
    made = [one for one in decisions(stage.activities(), start) if one.at <= start + seconds]
    stage.hold_scaling()
    load.stop_sending()
    stage.apply(pool, {})

    def checks(evidence: Evidence) -> Iterator[Check]:
        yield from _compared(stage, evidence, start, [(one.at - start, one.after) for one in made])

    return Played(checks)


def _compared(stage: Stage, evidence: Evidence, start: float, changes: list[tuple[float, int]]) -> Iterator[Check]:
    from rehearsal.scenarios.simulated import (  # noqa: PLC0415 - as in `timed`
        Fleet,
        Seen,
        share_within,
        simulated,
        worst_lag,
    )
    from simulator.cluster import Slo  # noqa: PLC0415 - as in `timed`
    from simulator.recipes import OurNumbers  # noqa: PLC0415 - as in `timed`

    pool, seconds = stage.settings.workers[0], sum(stage.pace.replay_seconds)
    slo = Slo(TTFT_SECONDS, ITL_SECONDS)
    here = Seen(share_within(evidence.records, slo), tuple(changes))
    numbers = replace(
        OurNumbers.of(pool), target_load=TARGET_LOAD, quiet_seconds=QUIET_SECONDS, warmup=float(WARMUP_SECONDS)
    )
    fleet = Fleet(stage.pace.fewer, stage.pace.workers, stage.pace.fewer, _boot(evidence, start, changes))
    there = simulated(evidence.records, start, seconds, stage.settings, numbers, fleet, slo)
    apart = abs(here.attainment - there.attainment) * 100
    yield at_most("attainment, rehearsal against simulator", ATTAINMENT_TOLERANCE, apart, "points")
    lag = worst_lag(here.changes, there.changes, seconds, TIME_TOLERANCE)
    yield at_most("changes of the group, the furthest apart", TIME_TOLERANCE, lag)
    for name, seen in (("rehearsal", here), ("simulator", there)):
        steps = ", ".join(f"{at:.0f} s: {size}" for at, size in seen.changes)
        yield told(name, f"{seen.attainment:.1%} within {TTFT_SECONDS:g} s and {ITL_SECONDS:g} s; {steps}")
    yield told("from a decision to a routed worker", f"{fleet.boot_seconds:.1f} s")


def _boot(evidence: Evidence, start: float, changes: list[tuple[float, int]]) -> float:
    """Seconds from the first decision to more routed workers than before; 0 when there was none."""
    if not changes:
        return 0.0
    decided = start + changes[0][0]
    routed = [(sample.at, len(sample.routed or ())) for sample in evidence.samples if sample.at >= decided]
    before = routed[0][1] if routed else 0
    return next((at - decided for at, count in routed if count > before), 0.0)


REPLAY = Scenario("replay", "a trace through the fleet and the simulator: both say the same", _play, load_share=0)
