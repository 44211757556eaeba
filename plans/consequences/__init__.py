"""From a stack's changes to their consequences: the rules of its own stack first, then what holds for any."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from plans.change import StackPlan
from plans.consequence import Consequence, Weight
from plans.consequences import general, logs, network, router, state, workers
from settings.naming import STACK_LOGS, STACK_NETWORK, STACK_ROUTER, STACK_STATE, workers_stack

Rules = Callable[[StackPlan], Iterator[Consequence]]
ORDER = tuple(Weight)


def consequences_of(plan: StackPlan) -> tuple[Consequence, ...]:
    """What an apply of this plan would mean, gravest first."""
    own = tuple(_rules(plan.stack)(plan))
    said = {address for consequence in own for address in consequence.addresses}
    everything = (*own, *general.consequences(plan, said))
    return tuple(sorted(everything, key=lambda consequence: ORDER.index(consequence.weight)))


def _rules(stack: str) -> Rules:
    rules: dict[str, Rules] = {
        STACK_STATE: state.consequences,
        STACK_NETWORK: network.consequences,
        STACK_LOGS: logs.consequences,
        STACK_ROUTER: router.consequences,
    }
    if stack.startswith(workers_stack("")):
        return workers.consequences
    return rules.get(stack, lambda _plan: iter(()))
