from __future__ import annotations

import json

import numpy as np
import pytest

from settings.workers import WorkerPool
from simulator.boot import Boot
from simulator.capacity import GroupPlan
from simulator.clairvoyant import cheapest, clairvoyant, peak_of
from simulator.compare import Comparison
from simulator.policies import Fixed, Schedule
from simulator.recipes import BASELINES, NAMES, OurNumbers, fixed, ours
from simulator.results import Prices, oscillations, to_json
from simulator.run import DRAWN_POINTS, Course, Point, simulate
from simulator.sweep import Choice, best, finer, frontier, settings_lines, try_all
from simulator.workload import Workload
from tests.simulator.made_up_cluster import MadeUpCluster

pytestmark = pytest.mark.slow  # its searches take seconds

SECONDS = 3600.0
PLAN = GroupPlan(1, 10, 1, Boot(100.0, 60.0))
NUMBERS = OurNumbers(3.0, 120, 0.7, 0.9, 60, 65.0)


def _wave(now: float) -> float:
    """Room for 4 per worker and 10 s in flight: 2 workers, 6 in the middle third."""
    return 2.4 if 1200 <= now < 2400 else 0.8


def _workload(attainment: float = 0.95) -> Workload:
    return Workload("wave", lambda: MadeUpCluster(_wave, SECONDS), SECONDS, attainment=attainment)


def _comparison() -> Comparison:
    return Comparison(_workload(), PLAN, Prices(2.0, 0.01), NUMBERS)


def test_a_fixed_fleet_is_charged_up_to_the_horizon() -> None:
    run = simulate(MadeUpCluster(_wave, SECONDS + 600), GroupPlan(1, 10, 3, PLAN.boot), Fixed(3), SECONDS)
    assert run.group.hours.gpu_hours == pytest.approx(3.0)
    assert run.changes == [(0.0, 3)]


def test_a_decision_waits_for_the_metrics_and_a_worker_for_its_boot() -> None:
    run = simulate(MadeUpCluster(_wave, SECONDS), PLAN, Schedule(((600.0, 2),)), SECONDS)
    assert run.changes == [(0.0, 1), (600.0, 2)]
    assert next(point.start for point in run.course.points if point.ready == 2) == 700.0


def test_the_cheapest_path_pays_for_boots_only_where_misses_cost_more() -> None:
    misses = np.array([[0.0, 9.0, 0.0], [0.0, 0.0, 0.0]])
    assert cheapest(misses, 100.0, 60.0, 100.0, 1) == [2, 2, 1]  # the first fleet is there already
    assert cheapest(misses, 1.0, 60.0, 100.0, 1) == [1, 1, 1]
    assert cheapest(misses, 1.0, 60.0, 100.0, 2) == [2, 2, 2]


def test_the_clairvoyant_follows_the_wave_and_pays_for_its_boots() -> None:
    bound = clairvoyant(_workload(), PLAN)
    assert bound.run.served.attainment >= 0.95
    assert (bound.initial, bound.peak) == (2, 6)
    booted = 4 * PLAN.boot.cold / 3600
    assert bound.gpu_hours == pytest.approx((2 * 2400 + 6 * 1200) / 3600 + booted, rel=0.03)
    assert peak_of(_workload(), PLAN) == 6


def test_the_clairvoyant_aims_just_below_what_no_fleet_exceeds() -> None:
    bound = clairvoyant(_workload(), GroupPlan(1, 3, 1, PLAN.boot))
    attainable = 2 * 0.8 / (2 * 0.8 + 2.4)
    assert bound.ceiling == pytest.approx(attainable)
    assert bound.target == pytest.approx(attainable - 0.01)
    assert bound.peak <= 3


def test_all_policies_side_by_side_give_the_same_bytes_twice() -> None:
    def once() -> str:
        comparison = _comparison()
        return to_json([comparison.named(name).result for name in NAMES], trace="wave")

    first = once()
    assert first == once()
    rows = json.loads(first)["policies"]
    assert [row["policy"] for row in rows] == list(NAMES)
    by_name = {row["policy"]: row for row in rows}
    assert by_name["clairvoyant"]["over_provisioning"] == 1.0
    assert by_name["fixed"]["gpu_hours"] == 6.0
    assert by_name["fixed"]["slo_attainment"] == 1.0
    assert by_name["ours"]["gpu_hours"] < by_name["fixed"]["gpu_hours"]
    assert by_name["ours"]["usd"] == pytest.approx(2 * by_name["ours"]["gpu_hours"])
    assert by_name["ours"]["requests"] == by_name["fixed"]["requests"]


def test_the_sweep_finds_the_cheapest_that_meets_the_slo() -> None:
    comparison = Comparison(_workload(0.9), PLAN, Prices(2.0, 0.01), NUMBERS)
    sizes = try_all([comparison], fixed(1, 10))
    assert best(sizes).choice.parameter == 6.0
    assert [one.choice.parameter for one in frontier(sizes)] == [1.0, 2.0, 6.0]
    chosen = best(try_all([comparison], ours(NUMBERS)))
    assert chosen.shortfall == 0
    assert chosen.results[0].gpu_hours < 6.0
    assert f"target_prompt_load = {chosen.choice.parameter:g}" in settings_lines(chosen.choice)


def test_a_finer_grid_halves_the_way_to_each_neighbour() -> None:
    known = [Choice(parameter, size, 0) for parameter in (1.0, 2.0, 4.0) for size in (1, 8)]
    around = finer(Choice(2.0, 1, 0), known)
    assert around == [Choice(1.5, 1, 0), Choice(3.0, 1, 0), *(Choice(value, 4, 0) for value in (1.5, 3.0, 2.0))]
    assert finer(Choice(4.0, 1, 0), known)[0] == Choice(3.0, 1, 0)
    assert not finer(Choice(1.0, 1, 0), [Choice(1.0, 1, 0)])


def test_a_hopeless_sweep_takes_what_comes_nearest() -> None:
    comparison = Comparison(_workload(), GroupPlan(1, 3, 1, PLAN.boot), Prices(None, 0.0), NUMBERS)
    chosen = best(try_all([comparison], BASELINES["concurrency"]))
    assert chosen.results[0].usd is None
    assert chosen.cost == chosen.results[0].gpu_hours


def test_prices_are_those_of_the_region_or_none() -> None:
    pool = WorkerPool()
    assert Prices.of(pool, "us-east-1").worker_hour == 1.861
    assert Prices.of(pool, "us-east-1").stopped_hour == pytest.approx(120 * 0.08 / 730)
    assert Prices.of(pool, "eu-west-1") == Prices(None, None)


@pytest.mark.parametrize(
    ("changes", "turns"),
    [
        ([(0.0, 1), (60.0, 2), (120.0, 1)], 1),
        ([(0.0, 1), (60.0, 2), (1200.0, 1)], 0),
        ([(0.0, 1), (60.0, 2), (120.0, 3), (180.0, 2), (240.0, 5)], 2),
    ],
)
def test_turning_round_within_a_quarter_of_an_hour_is_an_oscillation(
    changes: list[tuple[float, int]], turns: int
) -> None:
    assert oscillations(changes) == turns


def test_a_long_course_keeps_a_bounded_number_of_points_and_all_arrivals() -> None:
    course, steps = Course(), 5 * DRAWN_POINTS
    for step in range(steps):
        course.add(Point(step * 10.0, 10.0, 3, step, 5, 1, None))
    assert len(course.points) <= DRAWN_POINTS
    assert sum(point.arrivals for point in course.points) >= 3 * (steps - course.steps)
    assert course.points[-1].desired > steps - 2 * course.steps
