"""AWS fails around a fleet that is well: the fleet must go on as it is, and take changes up again soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from rehearsal import faults
from rehearsal.scenarios.checks import Check, after, at_least, at_most, exactly, holds
from rehearsal.scenarios.play import Evidence, Played, Scenario
from rehearsal.scenarios.stage import Stage
from rehearsal.scenarios.timeline import least_in_service, least_routed

RECOVERY_LIMIT = 5.0
SLOW_SECONDS = 4.0
BOOT_SECONDS = 90.0


def _play_api(fault: Callable[[], None], stage: Stage, *, seen: bool) -> Played:
    at = time.time()
    fault()
    stage.hold(stage.pace.outage_seconds, "the AWS API fails")
    faults.aws_restored()
    restored = time.time()
    stage.wait("discovery asks AWS again", lambda: _recovered(stage, restored) or not seen, 30)

    def checks(evidence: Evidence) -> Iterator[Check]:
        if seen:
            noticed = [e for e in stage.discovery_events() if e.name == "aws_unavailable" and e.at >= at]
            yield at_least("times discovery said that AWS is away", 1, len(noticed))
            yield at_most("discovery has AWS again", RECOVERY_LIMIT, after(_recovered(stage, restored), restored))
        yield from _untouched(stage, evidence, at)

    return Played(checks)


def _untouched(stage: Stage, evidence: Evidence, since: float) -> Iterator[Check]:
    yield exactly("fewest workers in routing", stage.pace.workers, least_routed(evidence.samples, since))
    yield exactly("fewest workers in service", stage.pace.workers, least_in_service(evidence.samples, since))


def _recovered(stage: Stage, since: float) -> float | None:
    return next((e.at for e in stage.discovery_events() if e.name == "aws_available" and e.at >= since), None)


def _play_metadata(stage: Stage) -> Played:
    at = time.time()
    faults.metadata_down()
    stage.hold(stage.pace.metadata_outage_seconds, "no metadata service answers")
    faults.metadata_restored()

    return Played(lambda evidence: _untouched(stage, evidence, at))


def _play_capacity(stage: Stage) -> Played:
    first = stage.zones[0]
    before = set(stage.look().workers)
    faults.capacity(first, available=False)
    stage.say(f"no capacity in {first}; two more workers wanted")
    stage.resize(stage.pace.workers + 2)
    whole = stage.seen(lambda: len(stage.serving) == stage.pace.workers + 2, BOOT_SECONDS)
    zones = {name: worker.zone for name, worker in stage.look().workers.items() if name not in before}
    reasons = [a.get("StatusMessage", "") for a in stage.activities() if a["StatusCode"] == "Failed"]
    faults.capacity(first, available=True)
    stage.resize(stage.pace.workers)

    def checks(_evidence: Evidence) -> Iterator[Check]:
        yield holds("the capacity came", seen=whole is not None)
        yield exactly("zones of the new workers", sorted({*stage.zones} - {first}), sorted(set(zones.values())))
        said = [reason for reason in reasons if first in reason and "capacity" in reason]
        yield at_least("activities that say why", 1, len(said))

    return Played(checks)


API_DOWN = Scenario("aws-down", "the AWS API is down", partial(_play_api, partial(faults.aws, "down"), seen=True))
API_THROTTLED = Scenario(
    "aws-throttled", "the AWS API throttles every call", partial(_play_api, partial(faults.aws, "throttled"), seen=True)
)
API_SLOW = Scenario(
    "aws-slow",
    f"the AWS API answers {SLOW_SECONDS:.0f} s late",
    partial(_play_api, partial(faults.aws, "slow", seconds=SLOW_SECONDS), seen=False),
)
METADATA_DOWN = Scenario("metadata-down", "the metadata service is down", _play_metadata)
CAPACITY = Scenario("no-capacity", "no capacity in one Availability Zone", _play_capacity)
