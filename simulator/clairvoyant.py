"""The fleet of somebody who knows the future: what the others are measured against.

It is the cheapest schedule of whole workers that this search finds and that a replay confirms. Workers may change once
per window (a minute, longer for long traces); each launch is started in advance, so that it serves from the first
second of its window, and pays for its boot. Runs of all fixed fleets give the misses (requests outside the SLO) of each
window and fleet size; dynamic programming finds the schedule that costs least for a price per miss, bisection the
lowest price whose schedule meets the SLO in a replay, and then workers are taken away wherever a replay still meets it.

It bounds nothing in the strict sense: windows are treated as if each had the past of a fixed fleet, a finer schedule
could be cheaper, and it uses the same router as everybody. No policy that reacts can be expected to reach it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simulator.boot import Boot
from simulator.capacity import HOUR, GroupPlan
from simulator.cloudwatch import STEP_SECONDS, Delays
from simulator.policies import Schedule
from simulator.run import Run, simulate
from simulator.workload import WINDOW_SECONDS, Workload

MOST_WINDOWS = 2_000
SEARCH_STEPS = 12
CHEAPEST_MISS, DEAREST_MISS = 1e-3, 1e6
"""Price of a miss in worker seconds between which the search looks."""
CEILING_MARGIN = 0.01
"""Where no fleet at all meets the SLO, this schedule comes within so much of what the largest fleet attains."""
LOOK_AHEAD = (0, 1, 3)
IMPROVING_REPLAYS = 80
LONG_SECONDS = 6 * HOUR
"""From here on the search is short: one step a minute, no look ahead, nothing improved."""
LONG_STEP_SECONDS = 60
FEW_SIZES = 16
NO_BOOT = Boot(0.0, 0.0)


@dataclass(frozen=True)
class Bound:
    """The schedule found, its replay, and its hours with boots."""

    schedule: Schedule
    run: Run
    gpu_hours: float
    sizes: list[int]
    """Workers of each window."""
    target: float
    """The attainment that it was made to reach: the SLO's, or just below what is possible at all."""
    ceiling: float
    """What the largest fleet attains."""

    @property
    def initial(self) -> int:
        """Its workers at the trace's start."""
        return self.schedule.changes[0][1]

    @property
    def peak(self) -> int:
        """Its largest fleet."""
        return max(workers for _, workers in self.schedule.changes)


def step_seconds(seconds: float) -> int:
    """How long the steps of a replay are."""
    return STEP_SECONDS if seconds <= LONG_SECONDS else LONG_STEP_SECONDS


def window_seconds(seconds: float) -> float:
    """The length of a window: a minute, or what makes MOST_WINDOWS of the time."""
    return max(1.0, -(-seconds // (MOST_WINDOWS * WINDOW_SECONDS))) * WINDOW_SECONDS


def misses_of_fixed(workload: Workload, workers: int) -> tuple[NDArray[np.float64], float]:
    """The requests of each window that a fixed fleet serves outside the SLO or not at all, and its attainment.

    A request counts in the window in which it ends, after the trace in the last one.
    """
    cluster, window = workload.start(), window_seconds(workload.seconds)
    misses = np.zeros(round(workload.seconds / window + 0.499))
    for _ in range(workers):
        cluster.join()
    end, step = 0.0, step_seconds(workload.seconds)
    while end < workload.seconds or not cluster.exhausted:
        end += step
        seen = cluster.advance(end)
        missed = seen.completed - seen.attained + seen.refused - seen.too_long
        misses[min(int((end - step) // window), len(misses) - 1)] += missed
    return misses, cluster.served().attainment


def cheapest(misses: NDArray[np.float64], price: float, window: float, boot: float, least: int) -> list[int]:
    """The workers of each window that cost least: worker seconds, boots, and `price` for each miss.

    `misses[n - 1, w]` belongs to n workers in window w.
    """
    count = len(misses)
    sizes = np.arange(1, count + 1)
    allowed = np.where(sizes < least, np.inf, 0.0)
    change = boot * np.maximum(sizes[None, :] - sizes[:, None], 0)
    total = allowed + window * sizes + price * misses[:, 0]
    before: list[NDArray[np.int64]] = []
    for column in range(1, misses.shape[1]):
        paths = total[:, None] + change
        best = paths.argmin(0)
        before.append(best)
        total = allowed + paths[best, sizes - 1] + window * sizes + price * misses[:, column]
    at = int(total.argmin())
    found = [at + 1]
    for best in reversed(before):
        at = int(best[at])
        found.append(at + 1)
    return found[::-1]


@dataclass
class Search:
    """The search for one workload: replays candidates and keeps the cheapest that reaches the target."""

    workload: Workload
    plan: GroupPlan
    target: float
    ceiling: float
    best: Bound | None = None
    replays: int = 0

    @property
    def window(self) -> float:
        """The length of a window."""
        return window_seconds(self.workload.seconds)

    def reaches(self, sizes: list[int]) -> bool:
        """Replay a schedule (workers of each window); whether it reaches the target."""
        bound = self._replay(sizes)
        self.replays += 1
        if bound.run.served.attainment < self.target:
            return False
        if self.best is None or bound.gpu_hours < self.best.gpu_hours:
            self.best = bound
        return True

    def _replay(self, sizes: list[int]) -> Bound:
        starts = [0, *(index for index, (old, new) in enumerate(pairwise(sizes), 1) if old != new)]
        schedule = Schedule(tuple((index * self.window, sizes[index]) for index in starts))
        plan = GroupPlan(min(sizes), self.plan.max_size, sizes[0], NO_BOOT, self.plan.drain_seconds)
        seconds = self.workload.seconds
        run = simulate(self.workload.start(), plan, schedule, seconds, Delays(0, 0), step=step_seconds(seconds))
        hours = run.group.hours.gpu_hours + run.group.launched * self.plan.boot.cold / HOUR
        return Bound(schedule, run, hours, sizes, self.target, self.ceiling)

    def found(self) -> Bound:
        """The cheapest schedule; there is one as soon as a fixed fleet has been tried."""
        if self.best is None:
            raise RuntimeError(f"{self.workload.name}: a replay of a fixed fleet differs from its first run")
        return self.best

    def by_price(self, misses: NDArray[np.float64], ahead: int) -> None:
        """Bisect for the lowest price per miss whose schedule reaches the target.

        With `ahead`, a window answers for that many windows after it too: what it leaves waiting is served there.
        """
        spread = sum(np.roll(np.pad(misses, ((0, 0), (0, ahead))), -shift, 1) for shift in range(ahead + 1))
        spread = np.asarray(spread)[:, : misses.shape[1]]
        low, high = CHEAPEST_MISS, DEAREST_MISS
        for _ in range(SEARCH_STEPS):
            middle = (low * high) ** 0.5
            least = max(1, self.plan.min_size)
            if self.reaches(cheapest(spread, middle, self.window, self.plan.boot.cold, least)):
                high = middle
            else:
                low = middle

    def improve(self, tell: Callable[[float], None]) -> None:
        """Take a worker away from ever shorter spans of the best schedule wherever the target still holds."""
        length = len(self.best.sizes) if self.best else 0
        span, end = max(length // 4, 1), self.replays + IMPROVING_REPLAYS
        while span and self.replays < end:
            tell(1.0 - (end - self.replays) / IMPROVING_REPLAYS)
            before = self.best
            for start in range(0, length, span):
                self._thin(start, start + span)
            # Once more with the same span while it still helps.
            span = span if self.best is not before else span // 2

    def _thin(self, start: int, end: int) -> None:
        least = max(1, self.plan.min_size)
        if self.best is None:
            return
        sizes = [max(n - (start <= at < end), least) for at, n in enumerate(self.best.sizes)]
        if sizes != self.best.sizes:
            self.reaches(sizes)


def clairvoyant(workload: Workload, plan: GroupPlan, progress: Callable[[float], None] | None = None) -> Bound:
    """Find the schedule for a workload within the group's bounds; `progress` is told the share that is done."""
    tell = progress or (lambda _: None)
    search, misses = _started(workload, plan, tell)
    if workload.seconds > LONG_SECONDS:
        search.by_price(misses, 0)
        return search.found()
    for ahead in LOOK_AHEAD:
        search.by_price(misses, ahead)
    search.improve(lambda share: tell(0.5 + share / 2))
    return search.found()


def peak_of(workload: Workload, plan: GroupPlan) -> int:
    """The largest fleet of a schedule found by the first, quick part of the search."""
    search, misses = _started(workload, plan, lambda _: None)
    search.by_price(misses, 1)
    return search.found().peak


def _started(workload: Workload, plan: GroupPlan, tell: Callable[[float], None]) -> tuple[Search, NDArray[np.float64]]:
    """A search that knows the smallest fixed fleet, and the misses of all of them."""
    misses, attained = _all_fixed(workload, plan.max_size, tell)
    ceiling = max(attained)
    target = workload.attainment if ceiling >= workload.attainment else ceiling - CEILING_MARGIN
    search = Search(workload, plan, target, ceiling)
    enough = next(n for n, share in enumerate(attained, 1) if share >= target)
    for size in range(max(enough, plan.min_size), plan.max_size + 1):
        if search.reaches([size] * misses.shape[1]):
            break
    return search, misses


def _all_fixed(workload: Workload, most: int, tell: Callable[[float], None]) -> tuple[NDArray[np.float64], list[float]]:
    """Misses and attainment of every fleet size, up to the first that attains what the largest does.

    For long traces only FEW_SIZES are run, evenly spread in their logarithm, and what lies between is interpolated.
    """
    last, ceiling = misses_of_fixed(workload, most)
    rows: dict[int, NDArray[np.float64]] = {}
    attained: dict[int, float] = {}
    for workers in _sizes(most, few=workload.seconds > LONG_SECONDS):
        row, share = (last, ceiling) if workers == most else misses_of_fixed(workload, workers)
        rows[workers], attained[workers] = row, share
        tell(0.5 * workers / most)
        if share >= ceiling:
            break
    every, known = np.arange(1, max(rows) + 1), list(rows)
    columns = zip(*rows.values(), strict=True)
    table = np.array([np.interp(every, known, column) for column in columns]).T
    return table, np.interp(every, known, list(attained.values())).tolist()


def _sizes(most: int, *, few: bool) -> list[int]:
    if not few:
        return list(range(1, most + 1))
    return sorted({round(size) for size in np.geomspace(1, most, FEW_SIZES)})
