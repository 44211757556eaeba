"""All stacks' plans together: what needs attention, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from plans.change import Action, StackPlan
from plans.consequence import Consequence, Weight
from plans.consequences import consequences_of
from plans.sections import Problem, Section
from settings.errors import did_you_mean
from settings.naming import STACK_LOGS, STACK_NETWORK, STACK_ROUTER, STACK_STATE

FIRST_STACKS = (STACK_STATE, STACK_LOGS, STACK_NETWORK, STACK_ROUTER)  # in the order in which they are applied
COUNTED = (Action.CREATE, Action.CHANGE, Action.REPLACE, Action.DESTROY)


class ExitCode(IntEnum):
    """What a build server reads."""

    NO_CHANGES = 0
    BAD_INPUT = 2
    CHANGES = 3
    ATTENTION = 4


class UnknownStackError(Exception):
    """`--allow-replace` names a stack that there is none of."""


@dataclass(frozen=True)
class Summary:
    """What a reviewer reads. `allowed`: stacks whose destructive consequences somebody takes upon himself."""

    plans: tuple[StackPlan, ...]
    consequences: tuple[Consequence, ...]
    allowed: frozenset[str] = frozenset()
    sections: tuple[Section, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Deployment and region."""
        names = sorted({plan.deployment for plan in self.plans if plan.deployment})
        regions = sorted({plan.region for plan in self.plans if plan.region})
        where = f" ({', '.join(regions)})" if regions else ""
        return f"{', '.join(names) or 'stacks'}{where}"

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that needs attention, gravest first."""
        own = (Problem(item.stack, self.told(item)) for item in self.consequences if self.stops(item))
        return (*own, *(problem for section in self.sections for problem in section.problems))

    def stops(self, consequence: Consequence) -> bool:
        """Whether a consequence needs somebody's consent that was not given."""
        if consequence.weight is Weight.REFUSED:
            return True
        return consequence.weight is Weight.DESTRUCTIVE and consequence.stack not in self.allowed

    def told(self, consequence: Consequence) -> str:
        """The consequence with how to consent to it."""
        if consequence.weight is Weight.DESTRUCTIVE and self.stops(consequence):
            return f"{consequence.text}; allow it with --allow-replace {consequence.stack}"
        return consequence.text

    def count(self, action: Action) -> int:
        """How many resources of all stacks one thing happens to."""
        return sum(plan.count(action) for plan in self.plans)

    @property
    def exit_code(self) -> ExitCode:
        """0, 3 or 4."""
        if self.problems:
            return ExitCode.ATTENTION
        return ExitCode.CHANGES if any(plan.changes_something for plan in self.plans) else ExitCode.NO_CHANGES

    @property
    def verdict(self) -> str:
        """The first line that is read."""
        match self.exit_code:
            case ExitCode.NO_CHANGES:
                return "No changes."
            case ExitCode.CHANGES:
                return f"Changes: {self.counts}."
            case _:
                number = len(self.problems)
                return f"Needs attention ({number} {'point' if number == 1 else 'points'}): {self.counts}."

    @property
    def counts(self) -> str:
        """Four numbers in words."""
        names = {Action.CREATE: "create", Action.CHANGE: "change", Action.REPLACE: "replace", Action.DESTROY: "destroy"}
        shown = [f"{self.count(action)} to {names[action]}" for action in COUNTED if self.count(action)]
        outputs = sum(len(plan.outputs) for plan in self.plans)
        return ", ".join(shown) or (f"{outputs} outputs" if outputs else "nothing to do")


def summarize(
    plans: Iterable[StackPlan],
    *,
    allowed: Sequence[str] = (),
    sections: Sequence[Section] = (),
    notes: Sequence[str] = (),
) -> Summary:
    """Put plans into a summary, stacks in the order in which they are applied.

    Raises:
        UnknownStackError: `allowed` names none of them.
    """
    ordered = tuple(sorted(plans, key=lambda plan: _place(plan.stack)))
    known = [plan.stack for plan in ordered]
    for name in allowed:
        if name not in known:
            near = did_you_mean(name, known)
            remedy = f"did you mean '{near}'?" if near else f"one of {', '.join(known)}"
            raise UnknownStackError(f"--allow-replace: no stack '{name}' in this plan; {remedy}")
    consequences = tuple(item for plan in ordered for item in consequences_of(plan))
    return Summary(ordered, consequences, frozenset(allowed), tuple(sections), tuple(notes))


def _place(stack: str) -> tuple[int, str]:
    place = FIRST_STACKS.index(stack) if stack in FIRST_STACKS else len(FIRST_STACKS)
    return (place, stack)
