"""The kernel does what the rehearsal's EngineModel does, request by request, and counts every one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rehearsal.engine.batch import Kind
from simulator.cluster import Cluster, EngineProfile, Interval, RouterProfile, Served, Slo
from simulator.event import EventCluster, event_cluster
from simulator.histogram import Histogram
from simulator.reference import ReferenceCluster
from tests.simulator.workloads import shared_prefixes

pytestmark = pytest.mark.slow

SMALL = EngineProfile(max_total_tokens=6_000, max_running=12, context_length=6_000, max_prefill_tokens=1_500)


def act(cluster: Cluster, plan: list[tuple[float, str, int]]) -> list[Interval]:
    """Live through a plan of (moment, action, index of a worker that joined), then to the end."""
    joined: list[int] = []
    intervals = []
    now = 0.0
    for moment, action, index in sorted(plan):
        now = max(moment, now + 0.001)
        intervals.append(cluster.advance(now))
        if action == "join":
            joined.append(cluster.join())
        elif joined and action == "drain":
            cluster.drain(joined[index % len(joined)])
        elif joined and action == "leave":
            cluster.leave(joined.pop(index % len(joined)))
    while not cluster.exhausted and now < 3000:
        now += 10
        intervals.append(cluster.advance(now))
    return intervals


def same(first: Any, second: Any) -> None:
    for item in fields(first):
        mine, its = getattr(first, item.name), getattr(second, item.name)
        if isinstance(mine, Histogram):
            np.testing.assert_array_equal(mine.counts, its.counts)
        else:
            assert mine == pytest.approx(its, abs=1e-9, nan_ok=True), item.name


def requests_of(cluster: ReferenceCluster) -> dict[int, tuple[float, ...]]:
    """Admitted, first token, finished, cached tokens of every finished request."""
    found: dict[int, dict[Kind, Any]] = {}
    for event in cluster.events:
        found.setdefault(int(event.key), {})[event.kind] = event
    kinds = (Kind.ADMITTED, Kind.FIRST_TOKEN, Kind.FINISHED)
    return {
        key: (*(events[kind].at for kind in kinds), events[Kind.ADMITTED].cached_tokens)
        for key, events in found.items()
        if Kind.FINISHED in events
    }


plans = st.lists(
    st.tuples(st.floats(0, 60), st.sampled_from(["join", "join", "drain", "leave"]), st.integers(0, 9)), max_size=8
)


routers = st.builds(
    RouterProfile,
    max_concurrent_requests=st.sampled_from([40, 400]),
    patience_seconds=st.sampled_from([0.0, 4.0]),
    tree_blocks=st.sampled_from([30, 100_000]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), plan=plans, router=routers, queue=st.sampled_from([None, 5]))
def test_every_request_has_the_times_that_the_rehearsals_engine_gives_it(
    seed: int, plan: list[tuple[float, str, int]], router: RouterProfile, queue: int | None
) -> None:
    engine = replace(SMALL, max_queued=queue)
    plan = [(0.0, "join", 0), (0.0, "join", 0), *plan]
    trace = shared_prefixes(seed, rate=1 + seed % 30)
    slow, fast = ReferenceCluster(trace, engine, Slo(), router), EventCluster(trace, engine, Slo(), router, 1000)
    for expected, got in zip(act(slow, plan), act(fast, plan), strict=True):
        same(got, expected)
    same(fast.served(), slow.served())
    expected_requests = requests_of(slow)
    logged = {int(line[0]): line[2:] for line in fast.log}
    assert logged.keys() == expected_requests.keys()
    for key, line in logged.items():
        np.testing.assert_allclose(line, expected_requests[key], atol=1e-6)


@pytest.mark.parametrize("workers", [1, 70])
def test_no_request_is_counted_twice_or_forgotten(workers: int) -> None:
    cluster = event_cluster(shared_prefixes(1, requests=2000, rate=40), SMALL)
    numbers = [cluster.join() for _ in range(workers)]
    cluster.advance(20)
    cluster.drain(numbers[0])
    while not cluster.empty(numbers[0]):
        cluster.advance(cluster.now + 1)
    cluster.leave(numbers[0])
    if workers > 1:
        cluster.advance(cluster.now + 1)
        cluster.leave(numbers[1])
    while not cluster.exhausted:
        cluster.advance(cluster.now + 10)
    served = cluster.served()
    assert served.requests == 2000 == served.completed + served.refused + served.lost
    assert served.too_long > 0
    assert (served.lost > 0) == (workers > 1)
    assert served.completed == served.e2e.total <= served.ttft.total <= served.completed + served.lost
    assert 0 < served.cached_tokens < served.prompt_tokens


def whole(seed: int) -> Served:
    cluster = event_cluster(shared_prefixes(3).scaled(rate=2.5, seed=seed), SMALL)
    for _ in range(4):
        cluster.join()
    while not cluster.exhausted:
        cluster.advance(cluster.now + 10)
    return cluster.served()


def test_the_same_seed_gives_the_same_run_and_another_does_not() -> None:
    same(whole(1), whole(1))
    assert whole(1).prompt_tokens != whole(2).prompt_tokens


def test_how_often_one_looks_does_not_change_what_happens() -> None:
    results = []
    for step in (0.7, 10.0):
        cluster = event_cluster(shared_prefixes(4), SMALL)
        for _ in range(3):
            cluster.join()
        while not cluster.exhausted:
            cluster.advance(cluster.now + step)
        results.append(cluster.served())
    same(*results)


def test_without_a_worker_requests_wait_as_long_as_they_are_patient() -> None:
    router = RouterProfile(patience_seconds=5.0)
    cluster = event_cluster(shared_prefixes(5, requests=30, rate=10), SMALL, router=router)
    held = cluster.advance(2.0)
    assert held.in_flight == held.queued > 0
    assert held.ready == 0
    cluster.join()
    while not cluster.exhausted:
        cluster.advance(cluster.now + 1)
    assert cluster.served().refused == cluster.served().too_long
    cluster = event_cluster(shared_prefixes(5, requests=30, rate=10), SMALL, router=router)
    cluster.advance(60.0)
    assert cluster.served().refused == 30
    assert cluster.exhausted
