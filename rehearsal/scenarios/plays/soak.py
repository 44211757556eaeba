"""A long random mix of what happens to fleets: nothing may be lost without a reason, and no program may grow."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping

from rehearsal import cloud_process, faults
from rehearsal.orders import SignalName
from rehearsal.processes import PROC
from rehearsal.scenarios.checks import Check, at_most, exactly, told
from rehearsal.scenarios.play import Evidence, Played, Scenario, cut_on, ordered
from rehearsal.scenarios.plays.worker_faults import whole_again
from rehearsal.scenarios.record import Record
from rehearsal.scenarios.stage import Stage
from user_data.node_config import UNIT_DISCOVERY, UNIT_ROUTER, UNIT_WORKER

SEED = 20261123
REST_SECONDS = (2.0, 6.0)
# Python's and smg's heaps settle in the first minutes; from then on a program that grows has a leak.
GROWTH_LIMIT_PERCENT = 20.0
PAGE_KIB = 4
WHOLE_SECONDS = 150.0
Explain = Callable[[Record], str | None]
Step = Callable[[Stage, random.Random], Explain | None]


def _shrink_and_grow(stage: Stage, dice: random.Random) -> None:
    stage.resize(dice.randrange(stage.pace.fewer, stage.pace.workers))
    time.sleep(dice.uniform(*REST_SECONDS))
    stage.resize(stage.pace.workers)


def _grow_and_shrink(stage: Stage, dice: random.Random) -> None:
    stage.resize(stage.pace.workers + 1)
    time.sleep(dice.uniform(*REST_SECONDS) * 2)
    stage.resize(stage.pace.workers)


def _cut(stage: Stage, dice: random.Random, signal: SignalName, reason: str) -> Explain:
    victim = dice.choice(stage.serving)
    cut = ordered(lambda: faults.signal_program(victim.id, "engine", signal))
    stage.wait("it serves again, or is replaced", lambda: whole_again(stage, victim, cut.given), WHOLE_SECONDS)
    return cut_on(victim.url, cut, reason)


def _kill_engine(stage: Stage, dice: random.Random) -> Explain:
    return _cut(stage, dice, "KILL", "had got bytes from a killed engine")


def _hang_engine(stage: Stage, dice: random.Random) -> Explain:
    return _cut(stage, dice, "STOP", "had got bytes from an engine that hung")


def _kill_discovery(stage: Stage, _dice: random.Random) -> None:
    faults.signal_program(stage.router_host, "discovery", "KILL")


def _spot(stage: Stage, dice: random.Random) -> None:
    faults.spot_notice(dice.choice(stage.serving).id)


def _api_fault(stage: Stage, dice: random.Random) -> None:
    del stage
    faults.aws(dice.choice(("down", "throttled")))
    time.sleep(dice.uniform(*REST_SECONDS))
    faults.aws_restored()


def _metadata_fault(stage: Stage, dice: random.Random) -> None:
    del stage
    faults.metadata_down()
    time.sleep(dice.uniform(*REST_SECONDS))
    faults.metadata_restored()


STEPS: tuple[Step, ...] = (
    _shrink_and_grow,
    _grow_and_shrink,
    _kill_engine,
    _hang_engine,
    _kill_discovery,
    _spot,
    _api_fault,
    _metadata_fault,
)


def _turns(dice: random.Random) -> Iterator[Step]:
    """Every step once in each round, in random order."""
    while True:
        yield from dice.sample(STEPS, len(STEPS))


def memory_kib(processes: Mapping[str, int]) -> dict[str, int]:
    """Resident memory of processes by name; those that have ended meanwhile are left out."""
    sizes: dict[str, int] = {}
    for name, pid in processes.items():
        try:
            pages = int((PROC / str(pid) / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        sizes[name] = pages * PAGE_KIB
    return sizes


def _program(unit: str) -> str:
    return unit.removeprefix("sglang-fleet-").removesuffix(".service")


def _sizes() -> dict[str, int]:
    """Of the main process of every unit: each on-host program. A restarted one is another process."""
    return memory_kib(
        {
            f"{_program(unit)} of {machine['id']} (process {pid})": pid
            for machine in cloud_process.machines()
            for unit, pid in machine["processes"].items()
        }
    )


def with_settled(
    settled: dict[str, int], seen: frozenset[str], sizes: dict[str, int]
) -> tuple[dict[str, int], frozenset[str]]:
    """Add the processes that are looked at for the second time: at the first, one may have just been started."""
    now = {name: size for name, size in sizes.items() if name in seen}
    return {**now, **settled}, seen | sizes.keys()


def growth_percent(before: dict[str, int], after: dict[str, int]) -> dict[str, float]:
    """Growth of the processes that were there both times."""
    return {name: 100.0 * (after[name] - size) / size for name, size in before.items() if name in after}


def _play(stage: Stage) -> Played:
    dice = random.Random(SEED)  # noqa: S311 - repeatable is the point
    explanations: list[Explain] = []
    deadline = time.monotonic() + stage.pace.soak_seconds
    settled: dict[str, int] = {}
    seen: frozenset[str] = frozenset()
    done = 0
    for step in _turns(dice):
        if time.monotonic() > deadline and done >= len(STEPS):  # every step at least once
            break
        stage.say(f"{step.__name__.strip('_').replace('_', ' ')}, {max(0.0, deadline - time.monotonic()):.0f} s left")
        explain = step(stage, dice)
        if explain is not None:
            explanations.append(explain)
        done += 1
        time.sleep(dice.uniform(*REST_SECONDS))
        stage.wait("the fleet is whole again", lambda: len(stage.serving) == stage.pace.workers, WHOLE_SECONDS)
        if done >= len(STEPS) // 2:
            settled, seen = with_settled(settled, seen, _sizes())
    final = _sizes()

    def explain_all(record: Record) -> str | None:
        return next((reason for explain in explanations if (reason := explain(record))), None)

    def checks(_evidence: Evidence) -> Iterator[Check]:
        yield told("things that happened", str(done))
        watched = growth_percent(settled, final)
        # Discovery is killed time and again, so that there may be no process to compare.
        kinds = sorted({name.partition(" ")[0] for name in watched} - {_program(UNIT_DISCOVERY)})
        yield exactly("watched for growth", [_program(UNIT_ROUTER), _program(UNIT_WORKER)], kinds)
        for name, growth in sorted(watched.items()):
            yield at_most(f"memory of {name}: growth", GROWTH_LIMIT_PERCENT, growth, "%")

    return Played(checks, explain_all)


SOAK = Scenario("soak", "random mix of faults and changes", _play)
