"""A new launch template version goes over all workers, by an apply, as an operator does it."""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.scenarios.checks import Check, at_least, exactly
from rehearsal.scenarios.play import Evidence, Played, Scenario
from rehearsal.scenarios.stage import Stage
from rehearsal.scenarios.timeline import least_in_service
from settings import naming

REFRESH_SECONDS = 1200.0


def _refreshed(stage: Stage) -> bool:
    (newest, *_) = stage.scaling.describe_instance_refreshes(AutoScalingGroupName=stage.group)["InstanceRefreshes"]
    return str(newest["Status"]) == "Successful"


def _play(stage: Stage) -> Played:
    pool = stage.settings.workers[0]
    before = {worker.id for worker in stage.serving}
    stage.say("applying a larger root volume: a new launch template version")
    size = pool.volume.size_gib + len(stage.activities()) + 1  # another one each time the scenario is played
    stage.apply(naming.workers_stack(pool.name), {"workers[0].volume.size_gib": size})
    stage.say("the instance refresh replaces the workers")
    stage.wait("the instance refresh is successful", lambda: _refreshed(stage), REFRESH_SECONDS)
    minimum = stage.pace.workers * pool.lifecycle.min_healthy_percent // 100

    def checks(evidence: Evidence) -> Iterator[Check]:
        last = evidence.samples[-1]
        yield exactly("workers of the old version left", 0, len(before & set(last.workers)))
        yield at_least("workers in service at any moment", minimum, least_in_service(evidence.samples))

    return Played(checks)


ROLLOUT = Scenario("rollout", "a new launch template version over all workers", _play)
