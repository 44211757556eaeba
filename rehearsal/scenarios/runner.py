"""Plays scenarios on a deployment, each under load, each ending with its ledger and its checks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from rich.console import Group, RenderableType

from rehearsal.faults import engine_ledgers
from rehearsal.scenarios.checks import Check, at_least, checks_table, exactly
from rehearsal.scenarios.ledger import Ledger, account
from rehearsal.scenarios.load import Load, Timed
from rehearsal.scenarios.measures import first_byte_percentiles
from rehearsal.scenarios.play import Evidence, Played, Scenario
from rehearsal.scenarios.prompts import LoadPlan
from rehearsal.scenarios.record import Outcome, Record
from rehearsal.scenarios.stage import Stage
from rehearsal.scenarios.timeline import Timeline

# Beyond the longest stream: an engine that hung may keep a request until its watchdog ends it.
FINISH_SECONDS = 90.0
# A step, yet not a burst of connections in one instant.
STEP_SECONDS = 0.5


@dataclass(frozen=True)
class Result:
    """What a scenario showed."""

    scenario: Scenario
    seconds: float
    ledger: Ledger
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        return {
            "scenario": self.scenario.name,
            "passed": self.passed,
            "seconds": round(self.seconds, 1),
            "checks": [asdict(check) for check in self.checks],
            "ledger": self.ledger.as_json(),
        }

    def show(self) -> RenderableType:
        """For people: the checks, then the ledger."""
        table = checks_table(self.scenario.name, self.scenario.title, self.checks, self.seconds)
        return Group(table, self.ledger.table())


def play(scenario: Scenario, stage: Stage) -> Result:
    """Play one scenario under load, let every request end, and judge.

    Raises:
        StepFailedError: the fleet was not there to begin with, or did not get where the scenario waits for.
    """
    begun = time.monotonic()
    stage.restore(stage.pace.workers)
    loads, timeline = Loads(scenario, stage), Timeline(stage.look)
    stage.more_load, stage.replay = loads.more, loads.replay
    timeline.start()
    loads.first.start()
    try:
        stage.hold(stage.pace.settle_seconds + loads.first.plan.ramp_seconds, "load begins")
        played = scenario.play(stage)
        stage.hold(stage.pace.settle_seconds, "load goes on")
        stage.say("the last requests end")
        records = loads.finish()
    finally:
        loads.stop_sending()
        timeline.stop()
    stage.release_scaling()  # the deployment is left as its settings say
    entries = () if stage.real_engine else engine_ledgers(stage.work)
    evidence = Evidence(records, tuple(timeline.samples), loads.concurrency, entries)
    return _judge(scenario, played, evidence, time.monotonic() - begun)


class Loads:
    """The load of a scenario, and what its play adds to it."""

    def __init__(self, scenario: Scenario, stage: Stage) -> None:
        self._stage = stage
        self._all = [_load(scenario, stage)]

    @property
    def first(self) -> Load:
        """The one that runs from the beginning."""
        return self._all[0]

    @property
    def concurrency(self) -> int:
        """Requests that were to be in flight when all of them ran."""
        return sum(load.plan.concurrency for load in self._all)

    def more(self, concurrency: int) -> Load:
        """Send more from now on, all at once: a step."""
        plan = replace(self._next_plan(), concurrency=concurrency, ramp_seconds=STEP_SECONDS)
        return self._begin(Load(plan, self._stage.router.url, self._stage.router.api_key))

    def replay(self, timed: Sequence[Timed]) -> Load:
        """Send these requests, each at its time from now on."""
        plan = replace(self._next_plan(), concurrency=0)
        return self._begin(Load(plan, self._stage.router.url, self._stage.router.api_key, timed))

    def _next_plan(self) -> LoadPlan:
        return replace(self.first.plan, name=f"{self.first.plan.name}-{len(self._all)}")

    def _begin(self, load: Load) -> Load:
        self._all.append(load)
        load.start()
        return load

    def stop_sending(self) -> None:
        """Send nothing new."""
        for load in self._all:
            load.stop_sending()

    def finish(self) -> tuple[Record, ...]:
        """Let every request end."""
        self.stop_sending()
        limit = self.first.plan.stream_seconds[1] * 2 + FINISH_SECONDS
        return tuple(record for load in self._all for record in load.finish(limit))


def _load(scenario: Scenario, stage: Stage) -> Load:
    # The id of a request is unique over everything the engines' ledgers hold.
    plan = stage.pace.plan(f"{scenario.name}-{int(time.time())}", stage.models, text_known=not stage.real_engine)
    if scenario.stream_seconds is not None and scenario.stream_seconds[1] > plan.stream_seconds[1]:
        plan = replace(plan, stream_seconds=scenario.stream_seconds)
    plan = replace(plan, concurrency=int(plan.concurrency * scenario.load_share))
    return Load(plan, stage.router.url, stage.router.api_key)


def _judge(scenario: Scenario, played: Played, evidence: Evidence, seconds: float) -> Result:
    lost = [record for record in evidence.records if record.outcome is Outcome.LOST]
    explained = {record.id: reason for record in lost if (reason := played.explain(record))}
    ledger = account(evidence.records, evidence.entries, explained)
    common = (
        exactly("requests lost without a reason", 0, ledger.total.lost),
        at_least("requests in flight at the busiest moment", evidence.concurrency, busiest(evidence.records)),
        _first_tokens(evidence.records),
    )
    return Result(scenario, seconds, ledger, (*common, *played.checks(evidence)))


def busiest(records: Sequence[Record]) -> int:
    """Most requests that were in flight at one moment."""
    moves = sorted([(r.sent, 1) for r in records] + [(r.ended, -1) for r in records])
    most = now = 0
    for _, step in moves:
        now += step
        most = max(most, now)
    return most


def _first_tokens(records: tuple[Record, ...]) -> Check:
    waits = first_byte_percentiles(records)
    shown = ", ".join(f"p{percent} {seconds:.2f} s" for percent, seconds in waits.items())
    return Check("time to first token", "measured", shown or "no stream began", passed=True)
