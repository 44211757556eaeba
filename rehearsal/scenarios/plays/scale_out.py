"""The group grows under load: the new workers must be used, and the caches of the old ones stay useful."""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.scenarios.checks import Check, after, at_least, at_most
from rehearsal.scenarios.measures import first_served, prefix_hit_rate, sent_between, share_by_worker
from rehearsal.scenarios.play import Evidence, Played, Scenario
from rehearsal.scenarios.stage import Stage
from rehearsal.scenarios.timeline import first_state

BOOT_SECONDS = 90.0
FIRST_REQUEST_LIMIT, FAIR_SHARE, HIT_RATE = 5.0, 0.6, 0.8


def _play(stage: Stage) -> Played:
    stage.restore(stage.pace.fewer)
    stage.hold(stage.pace.observe_seconds, f"{stage.pace.fewer} workers under load")
    old = {worker.id for worker in stage.serving}
    grown = stage.resize(stage.pace.workers)
    stage.say(f"desired capacity {stage.pace.fewer} -> {stage.pace.workers}")
    served = stage.wait("four workers serve", lambda: len(stage.serving) == stage.pace.workers, BOOT_SECONDS)
    new = sorted({worker.id for worker in stage.serving} - old)
    window = stage.pace.observe_seconds
    stage.hold(window, "the new workers fill their caches")

    def checks(evidence: Evidence) -> Iterator[Check]:
        recent = sent_between(evidence.records, served, served + window)
        shares = share_by_worker(recent)
        for instance in new:
            url, joined = stage.url_of(instance), first_state(evidence.samples, instance, "InService")
            first = first_served(evidence.records, url, grown)
            waited = after(first.sent if first else None, joined)
            yield at_most(f"{instance}: first request after InService", FIRST_REQUEST_LIMIT, waited)
            share = shares.get(url, 0.0) * stage.pace.workers
            yield at_least(f"{instance}: part of its fair share within {window:.0f} s", FAIR_SHARE, share)
        before = prefix_hit_rate(sent_between(evidence.records, grown - window, grown)) or 0.0
        then = prefix_hit_rate(recent) or 0.0
        ratio = then / before if before else None
        yield at_least(f"prefix hit rate {then:.2f}, relative to {before:.2f} before", HIT_RATE, ratio)

    return Played(checks)


SCALE_OUT = Scenario("scale-out", "scale-out from 2 to 4 workers under load", _play)
