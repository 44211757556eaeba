"""Several policies on one workload, each from the same start, against the clairvoyant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from simulator.capacity import GroupPlan
from simulator.clairvoyant import Bound, clairvoyant
from simulator.cloudwatch import Delays
from simulator.recipes import BASELINES, CLAIRVOYANT, FIXED, OURS, OurNumbers, Recipe, fixed, ours
from simulator.results import Labels, Prices, Result, result
from simulator.run import Course, simulate
from simulator.workload import Workload


@dataclass(frozen=True, slots=True)
class Outcome:
    """A policy's row and its course for the picture."""

    result: Result
    course: Course


@dataclass
class Comparison:
    """A workload, a group and prices; makes outcomes one by one and keeps the bound.

    Without an initial size every policy starts with the clairvoyant's fleet, long warmed up: a trace is cut out of a
    longer day, and its first second is no scaling event.
    """

    workload: Workload
    plan: GroupPlan
    prices: Prices
    numbers: OurNumbers
    delays: Delays = field(default_factory=Delays)
    starts_with: int | None = None
    bounded: bool = True
    """False: without the clairvoyant, which takes by far the most time for a trace of days; fleets then start with the
    plan's initial size."""
    progress: Callable[[str, float], None] = lambda _name, _share: None
    _bound: Bound | None = None

    @property
    def bound(self) -> Bound:
        """The clairvoyant's schedule, found once."""
        if self._bound is None:
            self._bound = clairvoyant(self.workload, self.plan, lambda share: self.progress(CLAIRVOYANT, share))
        return self._bound

    def recipe(self, name: str) -> Recipe:
        """A policy by name, with its published or set parameter. The fixed fleet is as large as the bound's peak."""
        if name == OURS:
            return ours(self.numbers)
        if name == FIXED:
            return fixed(self.bound.peak if self.bounded else self.plan.max_size, self.plan.max_size)
        return BASELINES[name]

    def run(self, recipe: Recipe, parameter: float, plan: GroupPlan | None = None) -> Outcome:
        """One policy with one parameter, in this comparison's group or another."""
        plan = self._plan(recipe, parameter, plan or self.plan)
        run = simulate(
            self.workload.start(),
            plan,
            recipe.make(parameter),
            self.workload.seconds,
            self.delays,
            lambda now: self.progress(recipe.name, min(now / self.workload.seconds, 1.0)),
            meter=self.workload.meter(),
        )
        hours = self.bound.gpu_hours if self.bounded else None
        labels = Labels(recipe.name, parameter, self.prices, hours)
        return Outcome(result(run, self.workload, labels), run.course)

    def _plan(self, recipe: Recipe, parameter: float, plan: GroupPlan) -> GroupPlan:
        if recipe.name == FIXED:
            size = int(parameter)
            return replace(plan, initial=size, min_size=size, max_size=size, warm_pool=None, minimums=())
        start = self.starts_with
        if start is None:
            start = self.bound.initial if self.bounded else plan.initial
        return replace(plan, initial=start)

    def named(self, name: str) -> Outcome:
        """A policy by name, as published or as set."""
        if name == CLAIRVOYANT:
            return self.clairvoyant()
        recipe = self.recipe(name)
        return self.run(recipe, recipe.published)

    def clairvoyant(self) -> Outcome:
        """The bound as a row."""
        bound = self.bound
        labels = Labels(CLAIRVOYANT, None, self.prices, bound.gpu_hours)
        return Outcome(result(bound.run, self.workload, labels, bound.gpu_hours), bound.run.course)
