"""The router's process dies, or its whole host is replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rehearsal import faults
from rehearsal.scenarios.checks import Check, after, at_most, holds, told
from rehearsal.scenarios.measures import prefix_hit_rate, sent_between
from rehearsal.scenarios.play import Evidence, Played, Scenario, ordered
from rehearsal.scenarios.record import Record
from rehearsal.scenarios.stage import Stage
from settings import naming

HOST_SECONDS = 300.0


def _back(stage: Stage) -> bool:
    return stage.router.ready() and len(stage.router.healthy_workers()) == stage.pace.workers


def _through(since: float, until: float | None, reason: str) -> Callable[[Record], str | None]:
    """Explains what was in flight through the router when it went, or before it was back."""

    def explain(record: Record) -> str | None:
        during = record.sent <= (until or record.sent) and record.ended >= since
        return reason if during else None

    return explain


def _hit_rates(stage: Stage, evidence: Evidence, at: float, back: float | None) -> Iterator[Check]:
    """The router forgets which worker knows which prefix: what that costs."""
    window = stage.pace.observe_seconds
    before = prefix_hit_rate(sent_between(evidence.records, at - stage.pace.settle_seconds, at)) or 0.0
    then = prefix_hit_rate(sent_between(evidence.records, back or at, (back or at) + window)) or 0.0
    yield told("prefix hit rate before and after", f"{before:.2f}, {then:.2f}: {before - then:+.2f} lost")


def _play_killed(stage: Stage) -> Played:
    stage.say("killing the router's process")
    host = stage.router_host
    at = ordered(lambda: faults.signal_program(host, "router", "KILL")).given
    back = stage.seen(lambda: _back(stage), 60)
    stage.hold(stage.pace.observe_seconds, "the router learns prefixes anew")

    def checks(evidence: Evidence) -> Iterator[Check]:
        yield at_most("serving again with the complete fleet", stage.pace.router_back_seconds, after(back, at))
        yield from _hit_rates(stage, evidence, at, back)

    return Played(checks, _through(at, back, "was in flight through the killed router"))


def _play_replaced(stage: Stage) -> Played:
    old = stage.router_host
    stage.say(f"replacing the router's host {old} by an apply")
    at = time.time()
    volume = stage.settings.router.volume.size_gib
    stage.apply(
        naming.STACK_ROUTER,
        {
            "router.max_concurrent_requests": stage.settings.router.max_concurrent_requests + 1,
            "router.volume.size_gib": volume,
        },
    )
    back = stage.seen(lambda: stage.router_host != old and _back(stage), HOST_SECONDS)
    stage.hold(stage.pace.settle_seconds, "the new host serves")

    def checks(evidence: Evidence) -> Iterator[Check]:
        yield holds("serves again at the same address", seen=back is not None)
        gaps = [sample.at for sample in evidence.samples if sample.routed is None and sample.at >= at]
        yield told("apply began to serving again", f"{(after(back, at) or 0):.1f} s")
        yield told("no router answered for", f"{gaps[-1] - gaps[0]:.1f} s" if gaps else "0 s")

    return Played(checks, _through(at, back, "was in flight through the host that was replaced"))


ROUTER_KILLED = Scenario("router-killed", "the router's process is killed", _play_killed, real_engine=True)
ROUTER_REPLACED = Scenario("router-replaced", "the router's host is replaced", _play_replaced)
