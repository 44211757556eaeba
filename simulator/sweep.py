"""Which numbers make the cheapest fleet that meets the SLO: as fine a grid for our policy as for every other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from simulator.capacity import GroupPlan, WarmPool
from simulator.compare import Comparison
from simulator.recipes import FIXED, Recipe
from simulator.results import Result

MINIMUM_SHARES = (0.0, 0.35, 0.7, 1.0)
"""Minimums that are tried, as shares of the largest fleet of the clairvoyant (the largest of several traces)."""
WARM_SIZES = (0, 4)
PARAMETER_DIGITS = 3
"""Of a parameter between two others: finer ones only fit a trace's noise."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One set of numbers: the policy's own parameter, the group's minimum, hosts kept warm."""

    parameter: float
    min_size: int
    warm: int

    def plan(self, plan: GroupPlan) -> GroupPlan:
        """A group with these numbers, and without schedules, whose minimum this one replaces."""
        least = min(self.min_size, plan.max_size)
        warm = WarmPool(min_size=self.warm) if self.warm else None
        return replace(plan, min_size=least, minimums=(), warm_pool=warm)


@dataclass(frozen=True, slots=True)
class Tried:
    """A choice and what it comes to on each trace."""

    choice: Choice
    results: tuple[Result, ...]
    shortfall: float
    """How much is missing to the SLO, summed over the traces; 0 when all meet it."""

    @property
    def cost(self) -> float:
        """USD of all traces, in hours where no price is known."""
        return sum(row.gpu_hours if row.usd is None else row.usd for row in self.results)


def choices(recipe: Recipe, plan: GroupPlan, peak: int) -> Iterator[Choice]:
    """The grid of a policy: its own parameters, minimums up to `peak`, warm pools."""
    if recipe.name == FIXED:
        yield from (Choice(size, int(size), 0) for size in recipe.tried)
        return
    minimums = sorted({max(plan.min_size, min(round(share * peak), plan.max_size)) for share in MINIMUM_SHARES})
    for parameter in recipe.tried:
        for least in minimums:
            yield from (Choice(parameter, least, warm) for warm in WARM_SIZES)


def try_all(
    comparisons: Sequence[Comparison],
    recipe: Recipe,
    progress: Callable[[float], None] | None = None,
    peak: int | None = None,
) -> list[Tried]:
    """Every choice of a policy on every trace; `peak` replaces the clairvoyant's largest fleet."""
    largest = max(comparison.bound.peak for comparison in comparisons) if peak is None else peak
    grid = list(choices(recipe, comparisons[0].plan, largest))
    return try_choices(comparisons, recipe, grid, progress)


def try_choices(
    comparisons: Sequence[Comparison],
    recipe: Recipe,
    grid: Sequence[Choice],
    progress: Callable[[float], None] | None = None,
) -> list[Tried]:
    """These choices of a policy on every trace; `progress` is told the share that is done."""
    found: list[Tried] = []
    for index, choice in enumerate(grid, 1):
        rows = tuple(
            comparison.run(recipe, choice.parameter, choice.plan(comparison.plan)).result for comparison in comparisons
        )
        found.append(Tried(choice, rows, _shortfall(comparisons, rows)))
        if progress:
            progress(index / len(grid))
    return found


def finer(around: Choice, known: Sequence[Choice]) -> list[Choice]:
    """What lies halfway from a choice to its neighbours of the grid: in the parameter, in the minimum, in both."""
    parameters = _between(around.parameter, {choice.parameter for choice in known})
    middle = [float(f"{value:.{PARAMETER_DIGITS}g}") for value in parameters]
    sizes = [round(value) for value in _between(around.min_size, {choice.min_size for choice in known})]
    crossed = [(parameter, size) for size in sizes for parameter in (*middle, around.parameter)]
    pairs = [*((parameter, around.min_size) for parameter in middle), *crossed]
    wanted = [Choice(parameter, size, around.warm) for parameter, size in pairs]
    return [choice for choice in dict.fromkeys(wanted) if choice not in known]


def _between(value: float, known: set[float] | set[int]) -> list[float]:
    """Halfway to the next lower and the next higher one."""
    lower, higher = [one for one in known if one < value], [one for one in known if one > value]
    next_to = ([max(lower)] if lower else []) + ([min(higher)] if higher else [])
    return [(value + one) / 2 for one in next_to]


def _shortfall(comparisons: Sequence[Comparison], rows: Sequence[Result]) -> float:
    return sum(
        max(comparison.bound.target - (row.slo_attainment or 0.0), 0.0)
        for comparison, row in zip(comparisons, rows, strict=True)
    )


def best(tried: Sequence[Tried]) -> Tried:
    """The cheapest that meets the SLO on all traces; without one, the nearest to it."""
    return min(tried, key=lambda one: (one.shortfall, one.cost))


def frontier(tried: Sequence[Tried]) -> list[Tried]:
    """Those that no other beats in both cost and attainment, cheapest first (for one trace)."""
    found: list[Tried] = []
    for one in sorted(tried, key=lambda one: (one.cost, one.shortfall)):
        if not found or _attained(one) > _attained(found[-1]):
            found.append(one)
    return found


def _attained(tried: Tried) -> float:
    return min(row.slo_attainment or 0.0 for row in tried.results)


def settings_lines(choice: Choice) -> str:
    """The lines of an environment file that make this choice, under `[[workers]]`."""
    lines = [f"min_size = {choice.min_size}", "", "[workers.scaling]", f"target_prompt_load = {choice.parameter:g}"]
    if choice.warm:
        prepared = max(choice.min_size, choice.warm)
        lines += ["", "[workers.warm_pool]", "enabled = true", f"min_size = {choice.warm}"]
        lines += [f"max_prepared = {prepared}"]
    return "\n".join(lines)
