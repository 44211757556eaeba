"""An engine dies, hangs, or never gets ready."""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal import faults
from rehearsal.scenarios.checks import Check, after, at_least, at_most, exactly, holds, told
from rehearsal.scenarios.measures import last_sent
from rehearsal.scenarios.play import Evidence, Played, Scenario, cut_on, ordered
from rehearsal.scenarios.stage import Stage
from rehearsal.scenarios.timeline import IN_SERVICE, Sample, Seen, first_unrouted

SERVES_LIMIT, OUT_LIMIT, REPLACED_LIMIT = 60.0, 10.0, 90.0
NEVER_READY_SECONDS = 330.0
THRASH_SECONDS = 300.0


def whole_again(stage: Stage, victim: Seen, at: float) -> bool:
    """Four workers serve, and the victim is not merely still listed."""
    left = victim.id not in stage.look().workers
    restarted = any(e.name == "worker_ready" and e.at > at for e in stage.agent_events(victim.id))
    return (left or restarted) and len(stage.serving) == stage.pace.workers


def _play_killed(stage: Stage) -> Played:
    victim, *_ = stage.serving
    stage.say(f"killing the engine of {victim.id}")
    cut = ordered(lambda: faults.signal_program(victim.id, "engine", "KILL"))
    at = cut.given
    whole = stage.seen(lambda: whole_again(stage, victim, at), SERVES_LIMIT + 30)

    def checks(_evidence: Evidence) -> Iterator[Check]:
        yield at_most("it serves again, or is replaced", SERVES_LIMIT, after(whole, at))

    return Played(checks, cut_on(victim.url, cut, "had got bytes from the killed engine"))


def _play_hung(stage: Stage) -> Played:
    victim, *_ = stage.serving
    stage.say(f"stopping the engine of {victim.id}: it accepts and never answers")
    cut = ordered(lambda: faults.signal_program(victim.id, "engine", "STOP"))
    at = cut.given
    whole = stage.seen(lambda: whole_again(stage, victim, at), REPLACED_LIMIT + 30)

    def checks(evidence: Evidence) -> Iterator[Check]:
        unrouted = first_unrouted(evidence.samples, victim.url, at)
        yield at_most("out of routing", OUT_LIMIT, after(unrouted, at))
        sent = last_sent(evidence.records, victim.url, unrouted or at)
        yield told("last request was sent to it", f"{(sent or at) - at:.1f} s after the hang")
        yield at_most("replaced, or serving again", REPLACED_LIMIT, after(whole, at))

    # What had bytes cannot go elsewhere; what had none is sent to another worker when the engine is killed.
    return Played(checks, cut_on(victim.url, cut, "had got bytes from the engine that hung"))


def _entered(samples: tuple[Sample, ...], instance: str) -> bool:
    return any(s.workers[instance].state == IN_SERVICE for s in samples if instance in s.workers)


def _play_never_ready(stage: Stage) -> Played:
    faults.next_engines_broken()
    before = set(stage.look().workers)
    stage.say("one more worker, whose engine cannot start")
    at = stage.resize(stage.pace.workers + 1)
    stage.wait("it is launched", lambda: set(stage.look().workers) - before, 30)
    (broken,) = set(stage.look().workers) - before
    replaced = None
    if stage.pace.name == "full":
        stage.say("until it is given up and replaced")
        replaced = stage.seen(lambda: set(stage.look().workers) - before - {broken}, NEVER_READY_SECONDS + 60)
    else:
        stage.hold(stage.pace.observe_seconds, "it tries again and again")
    told_why = stage.why()
    faults.engines_restored()
    launched = {*stage.look().workers, broken} - before
    for instance in launched & set(stage.look().workers):
        stage.dismiss(instance)  # as an operator does who has read why

    def checks(evidence: Evidence) -> Iterator[Check]:
        yield holds("never in service", seen=not _entered(evidence.samples, broken))
        words = faults.NO_KERNEL_IMAGE
        yield holds("`fleet why` tells the engine's last words", seen=broken in told_why and words in told_why)
        if stage.pace.name == "full":
            yield at_least("held its place before it was replaced", THRASH_SECONDS, after(replaced, at), "s")
        else:
            yield exactly("hosts launched meanwhile", 1, len(launched))

    return Played(checks)


KILLED = Scenario("worker-killed", "the engine's process is killed", _play_killed, real_engine=True)
HUNG = Scenario("worker-hangs", "the engine accepts requests and never answers", _play_hung)
NEVER_READY = Scenario("never-ready", "a worker whose engine never gets ready", _play_never_ready)
