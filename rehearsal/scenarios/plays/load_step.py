"""The load grows fourfold and falls back, and the group follows by itself: out in time, in without a loss.

Here and in `replay` the alarms are heard; in all other scenarios an operator has suspended the group's scaling.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from rehearsal.scenarios.checks import Check, after, at_most, exactly, told
from rehearsal.scenarios.decisions import Decision, decisions
from rehearsal.scenarios.measures import first_served
from rehearsal.scenarios.play import Evidence, Played, Scenario
from rehearsal.scenarios.stage import Stage
from settings import naming
from user_data.node_config import METRIC_INTERVAL_SECONDS

GROWTH = 4
SHARE = 1 / GROWTH
"""Of the pace's load before the step: what the machine carries is there after it."""
DECISION_LIMIT, SERVING_LIMIT, BACK_LIMIT = 30.0, 60.0, 600.0
SETTLE_SECONDS = 240.0
WATCH_SECONDS = 90.0
# The metric is sampled in the middle of every period (user_data.agent), and three periods must be above the target
# (rehearsal.emulated_aws.alarms.target_tracking). A step just before a sample is decided after 25 s, one just after it
# after 35 s: which it is would be chance, so the step is always made 2 s before a sample.
STEP_PHASE = METRIC_INTERVAL_SECONDS / 2 - 2.0
# A minute of quiet instead of two, so that the way back takes minutes. The warm-up is longer than the metric needs to
# show a new worker: the group would grow on what it has answered already.
QUIET_SECONDS, WARMUP_SECONDS = 60, 40


def steady(stage: Stage) -> int:
    """Requests in flight before the step: half the target on the smallest fleet, of half the pace's workers."""
    return max(1, int(stage.pace.concurrency * SHARE))


def _scaling(stage: Stage) -> dict[str, object]:
    """Settings of the pool: after the step, so many workers are needed as the pace has."""
    return {
        "workers[0].min_size": stage.pace.fewer,
        "workers[0].scaling.target_load": float(2 * steady(stage)) / stage.pace.fewer,
        "workers[0].scaling.scale_in_cooldown_seconds": QUIET_SECONDS,
        "workers[0].scaling.instance_warmup_seconds": WARMUP_SECONDS,
    }


def _prepare(stage: Stage) -> float:
    """The smallest fleet under half of its load, with the alarms heard from then on; returns when."""
    stage.say("applying a scaling policy that fits the load")
    stage.apply(naming.workers_stack(stage.settings.workers[0].name), _scaling(stage))
    stage.resize(stage.pace.fewer)
    stage.wait("the smallest fleet serves", lambda: stage.settled(stage.pace.fewer), SETTLE_SECONDS)
    since = time.time()
    stage.release_scaling()
    stage.hold(stage.pace.steady_seconds, "a steady load, and nothing may happen")
    time.sleep((STEP_PHASE - time.time()) % METRIC_INTERVAL_SECONDS)
    return since


def _growth(stage: Stage, since: float) -> Decision | None:
    return next((one for one in decisions(stage.activities(), since) if one.grows), None)


def _play(stage: Stage) -> Played:
    since = _prepare(stage)
    old = {worker.id for worker in stage.serving}
    stepped = time.time()
    more = stage.more_load(steady(stage) * (GROWTH - 1))
    stage.say(f"the load has grown {GROWTH} times")
    stage.seen(lambda: _growth(stage, stepped), WATCH_SECONDS)
    growth = _growth(stage, stepped)
    stage.seen(lambda: {worker.id for worker in stage.serving} - old, WATCH_SECONDS)
    stage.hold(stage.pace.observe_seconds, "the new workers serve")
    more.stop_sending()
    fell = time.time()
    stage.say("the load is as before; the group shrinks by itself")
    back = stage.seen(lambda: stage.settled(stage.pace.fewer), BACK_LIMIT)
    made = decisions(stage.activities(), since)
    stage.hold_scaling()
    stage.apply(naming.workers_stack(stage.settings.workers[0].name), {})

    def checks(evidence: Evidence) -> Iterator[Check]:
        early = [one for one in made if one.at < stepped]
        late = [one for one in made if one.at >= fell and one.grows]
        yield exactly(f"decisions on a steady load of {stepped - since:.0f} s", 0, len(early))
        yield at_most("decision after the step", DECISION_LIMIT, after(growth.at if growth else None, stepped))
        yield at_most(
            "first request on a new worker after the step", SERVING_LIMIT, _served(stage, evidence, old, stepped)
        )
        yield exactly("decisions to grow after the load fell", 0, len(late))
        yield at_most("back at the smallest fleet after the load fell", BACK_LIMIT, after(back, fell))
        yield told(
            "most workers in service",
            str(max(len(sample.in_service) for sample in evidence.samples if sample.at >= stepped)),
        )
        yield told("decisions", ", ".join(f"{one.before} -> {one.after}" for one in made))
        outcomes = Counter(record.outcome.value for record in evidence.records)
        yield told("requests", ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))

    return Played(checks)


def _served(stage: Stage, evidence: Evidence, old: set[str], stepped: float) -> float | None:
    """Seconds from the step to the first request that a new worker answered."""
    new = {worker for sample in evidence.samples for worker in sample.workers} - old
    firsts = [first_served(evidence.records, stage.url_of(worker), stepped) for worker in new]
    return min((first.sent - stepped for first in firsts if first is not None), default=None)


LOAD_STEP = Scenario("load-step", "four times the load and back: the group follows by itself", _play, load_share=SHARE)
