"""The fluid mode keeps the books, and says nearly what the event mode says.

Tolerances: requests in flight within 12 %, or two requests, below saturation, and attainment within 0.04. For answers
of some thirty tokens, where one prefill more or less decides, 25 % and 0.08. As many workers needed for the SLO, give
or take one.
"""

from __future__ import annotations

import numpy as np
import pytest

from simulator.cluster import Cluster, EngineProfile, Interval, RouterProfile, Slo
from simulator.event import event_cluster
from simulator.fluid import fluid_cluster
from simulator.traces import RateTrace

ENGINE = EngineProfile()
SECONDS = 600.0


def rates(per_second: list[float], prompt: float = 1155, output: float = 211) -> RateTrace:
    steps = len(per_second)
    return RateTrace(
        "steps",
        np.arange(steps, dtype=np.float64) * SECONDS,
        np.array(per_second),
        np.full(steps, prompt),
        np.full(steps, output),
    )


def run(cluster: Cluster, workers: int, end: float) -> list[Interval]:
    for _ in range(workers):
        cluster.join()
    return [cluster.advance(10.0 * step) for step in range(1, int(end / 10) + 1)]


def settled(intervals: list[Interval]) -> list[float]:
    """Mean requests in flight in each step of the load, its first 200 s left out."""
    in_flight = np.array([interval.in_flight for interval in intervals]).reshape(-1, int(SECONDS / 10))
    return [float(mean) for mean in in_flight[:, 20:].mean(1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "output", "base", "workers", "tolerance"),
    [
        (1155, 211, 4.0, 10, 0.04),
        (1155, 211, 4.0, 16, 0.04),
        (2048, 28, 3.0, 10, 0.08),
        (2048, 28, 3.0, 16, 0.08),
        (4000, 340, 1.2, 12, 0.04),
        (500, 400, 4.0, 8, 0.04),
    ],
)
def test_fluid_and_event_mode_agree_over_steps_of_the_load(
    prompt: float, output: float, base: float, workers: int, tolerance: float
) -> None:
    trace = rates([base, base, 2 * base, 2 * base, base, base / 2], prompt, output)
    event, fluid = event_cluster(trace.arrivals(3), ENGINE), fluid_cluster(trace, ENGINE)
    exact, estimated = (settled(run(cluster, workers, 3600)) for cluster in (event, fluid))
    for wanted, got in zip(exact, estimated, strict=True):
        assert got == pytest.approx(wanted, rel=3 * tolerance, abs=2)
    assert fluid.served().attainment == pytest.approx(event.served().attainment, abs=tolerance)
    assert fluid.served().requests == pytest.approx(event.served().requests, rel=0.03)


def needed(trace: RateTrace, share: float, *, fluid: bool) -> int:
    """The smallest fleet that serves this share of the requests within the SLO."""
    for workers in range(3, 40):
        cluster = fluid_cluster(trace, ENGINE) if fluid else event_cluster(trace.arrivals(3), ENGINE)
        run(cluster, workers, 1200)
        if cluster.served().attainment >= share:
            return workers
    raise AssertionError("no fleet is large enough")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("per_second", "prompt", "output", "share"),
    [(3.0, 1155, 211, 0.90), (6.0, 1155, 211, 0.90), (5.0, 500, 400, 0.95), (10.0, 500, 400, 0.95)],
)
def test_both_modes_need_as_many_workers_for_the_slo(
    per_second: float, prompt: float, output: float, share: float
) -> None:
    trace = rates([per_second, per_second], prompt, output)
    assert needed(trace, share, fluid=True) == pytest.approx(needed(trace, share, fluid=False), abs=1)


def test_above_saturation_the_line_grows_by_what_cannot_be_served_and_is_worked_off() -> None:
    cluster = fluid_cluster(rates([20.0, 1.0, 1.0, 1.0]), ENGINE)
    intervals = run(cluster, 8, 2400)
    grown = intervals[59]
    assert grown.in_flight == pytest.approx(4096, rel=0.02)
    assert grown.refused > 0
    assert grown.queued > 0.8 * grown.in_flight
    assert grown.kv_usage_max == pytest.approx(1.0, abs=0.1)
    assert intervals[30].ttft_p90 > intervals[10].ttft_p90 > 2
    assert intervals[-1].in_flight < 10
    served = cluster.served()
    assert served.refused == sum(interval.refused for interval in intervals)
    assert served.ttft.total == pytest.approx(served.requests - served.refused, rel=0.01)


def test_books_are_kept_while_workers_come_and_go() -> None:
    router = RouterProfile(patience_seconds=30)
    cluster = fluid_cluster(rates([3.0]), ENGINE, router=router, cached=0.25)
    held = cluster.advance(10)
    assert (held.arrivals, held.queued, held.ready, held.refused) == (30, 30, 0, 0)
    numbers = [cluster.join() for _ in range(6)]
    cluster.advance(60)
    cluster.drain(numbers[0])
    assert cluster.advance(61).draining_in_flight > 0
    while not cluster.empty(numbers[0]):
        cluster.advance(cluster.now + 1)
    assert 65 < cluster.now < 150
    cluster.leave(numbers[0])
    assert cluster.served().lost == 0
    cluster.leave(numbers[1])
    assert 0 < cluster.served().lost < 10
    while not cluster.exhausted:
        cluster.advance(cluster.now + 10)
    served = cluster.served()
    assert served.requests == 1800
    assert served.completed + served.lost == pytest.approx(1800, abs=2)
    assert served.cached_tokens == pytest.approx(served.prompt_tokens / 4, rel=0.001)
    assert served.output_tokens == pytest.approx(served.completed * 211, rel=0.001)


def test_nobody_serves_without_workers() -> None:
    cluster = fluid_cluster(rates([2.0]), ENGINE, Slo())
    cluster.advance(600)
    assert (cluster.served().refused, cluster.served().attainment, cluster.exhausted) == (1200, 0.0, True)
