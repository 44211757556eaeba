"""The group shrinks under load: nothing may be lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rehearsal.scenarios.checks import Check, after, at_least, at_most, exactly
from rehearsal.scenarios.measures import last_end
from rehearsal.scenarios.play import Evidence, Played, Scenario
from rehearsal.scenarios.stage import Event, Stage
from rehearsal.scenarios.timeline import first_state, first_unrouted

# AWS takes heartbeats of 30 s at least (PutLifecycleHook); the rehearsal's settings use just that.
DRAIN_SECONDS = 240.0
UNROUTED_LIMIT, HOOK_LIMIT = 3.0, 5.0


def _leaving(stage: Stage) -> list[str]:
    return [worker.id for worker in stage.look().workers.values() if worker.state.startswith("Terminating")]


def drained(stage: Stage, leaving: list[str], evidence: Evidence) -> Iterator[Check]:
    """For each worker that left: out of routing soon, and let go soon after its last request."""
    for instance in leaving:
        url = stage.url_of(instance)
        began = first_state(evidence.samples, instance, "Terminating")
        unrouted = first_unrouted(evidence.samples, url, began or 0.0)
        yield at_most(f"{instance}: out of routing after the state change", UNROUTED_LIMIT, after(unrouted, began))
        completed = hook_completed(stage.agent_events(instance))
        last = last_end(evidence.records, url, unrouted or 0.0)
        yield at_most(
            f"{instance}: hook completed after its last request",
            HOOK_LIMIT,
            after(completed, max(last or 0.0, began or 0.0)),
        )


def hook_completed(events: list[Event]) -> float | None:
    """When the terminating hook was answered."""
    return next((e.at for e in events if e.name == "hook_completed" and "requests-finished" in e.fields["words"]), None)


def _shrink(stage: Stage) -> list[str]:
    stage.say(f"desired capacity {stage.pace.workers} -> {stage.pace.fewer}")
    stage.resize(stage.pace.fewer)
    stage.wait("workers leave", lambda: len(_leaving(stage)) == stage.pace.workers - stage.pace.fewer, 30)
    leaving = _leaving(stage)
    stage.say(f"{' and '.join(leaving)} drain")
    stage.wait("they are gone", lambda: not set(leaving) & set(stage.look().workers), DRAIN_SECONDS)
    return leaving


def _play(stage: Stage) -> Played:
    leaving = _shrink(stage)
    return Played(lambda evidence: drained(stage, leaving, evidence))


def _play_long(stage: Stage) -> Played:
    """As above, with streams longer than the hook's heartbeat timeout."""
    began = time.time()
    leaving = _shrink(stage)
    heartbeat = stage.settings.workers[0].lifecycle.drain_timeout_seconds

    def checks(evidence: Evidence) -> Iterator[Check]:
        yield from drained(stage, leaving, evidence)
        beats = [e for name in leaving for e in stage.agent_events(name) if e.name == "heartbeat" and e.at >= began]
        yield at_least("heartbeats seen", 2, len(beats))
        urls = {stage.url_of(name) for name in leaving}
        longest = max((r.seconds for r in evidence.records if r.worker in urls), default=None)
        yield at_least("longest request on a worker that left", heartbeat, longest, "s")
        yield exactly("workers at the end", stage.pace.fewer, len(evidence.samples[-1].workers))

    return Played(checks)


SCALE_IN = Scenario("scale-in", "scale-in of 2 of 4 workers", _play, real_engine=True)
LONG_STREAM = Scenario(
    "long-stream", "scale-in with streams longer than one heartbeat", _play_long, stream_seconds=(4.0, 36.0)
)
