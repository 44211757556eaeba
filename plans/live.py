"""Plan every stack of a deployment as it is now, from a scratch copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from plans.change import StackPlan
from plans.scratch import Copy
from plans.states import States
from plans.terraform import Terraform, TerraformError
from plans.terraform_json import read_plan
from settings.naming import STACK_STATE

# Each Terraform starts a provider of its own, of about 0.5 GB.
MOST_AT_ONCE = 4


@dataclass(frozen=True)
class Order:
    """What to plan: all stacks, or their end. `with_state` also the end of the state bucket."""

    destroy: bool = False
    with_state: bool = False


@dataclass(frozen=True)
class Planned:
    """The plans, what to know about how they were made, and each plan's JSON for programs that judge it."""

    plans: tuple[StackPlan, ...]
    notes: tuple[str, ...]
    documents: tuple[tuple[str, bytes], ...]


def plan_all(
    terraform: Terraform, copies: Sequence[Copy], states: States, order: Order, say: Callable[[str], None]
) -> Planned:
    """Plan stacks that `copy_stacks` has made ready.

    Raises:
        TerraformError: a stack cannot be planned; the message starts with its name.
        BadPlanError: a plan cannot be read.
    """
    wanted = [copy for copy in copies if _wanted(copy, states, order)]
    for copy in wanted:
        say(f"{copy.stack}: init")
        with _naming(copy):
            terraform.init(copy.folder)
    with ThreadPoolExecutor(min(MOST_AT_ONCE, os.cpu_count() or 1)) as pool:
        texts = list(pool.map(lambda copy: _plan(terraform, copy, order, say), wanted))
    documents = tuple((copy.stack, text) for copy, text in zip(wanted, texts, strict=True))
    plans = tuple(
        read_plan(text, copy.stack, on_placeholders=bool(copy.missing) and not order.destroy)
        for copy, text in zip(wanted, texts, strict=True)
    )
    known = [copy.stack for copy in copies]
    return Planned(plans, (*_missing(wanted, order), *_notes(known, states)), documents)


def _wanted(copy: Copy, states: States, order: Order) -> bool:
    if copy.stack == STACK_STATE and states.local is None and states.bucket_exists:
        return False
    if not order.destroy:
        return True
    return states.deployed(copy.stack) and (order.with_state or copy.stack != STACK_STATE)


def _plan(terraform: Terraform, copy: Copy, order: Order, say: Callable[[str], None]) -> bytes:
    say(f"{copy.stack}: plan")
    with _naming(copy):
        return terraform.plan(copy.folder, destroy=order.destroy)


@contextmanager
def _naming(copy: Copy) -> Iterator[None]:
    """Put the stack's name before what Terraform says."""
    try:
        yield
    except TerraformError as error:
        raise TerraformError(f"{copy.stack}: Terraform cannot plan it: {error}") from None


def _missing(copies: Sequence[Copy], order: Order) -> tuple[str, ...]:
    missing = sorted({stack for copy in copies for stack in copy.missing})
    if not missing or order.destroy:
        return ()
    return (
        f"what other stacks read of {', '.join(missing)} is not deployed yet: planned with placeholders for its ids",
    )


def _notes(known: Sequence[str], states: States) -> tuple[str, ...]:
    notes = []
    if states.local is None and states.bucket_exists:
        notes.append("state: not planned, its state is a local file of whoever ran `fleet init`")
    orphans = sorted(stack for stack in states.by_stack if stack not in known and states.deployed(stack))
    notes.extend(
        f"{stack}: deployed, but no longer in the settings; no apply removes it: destroy it before you drop its pool"
        for stack in orphans
    )
    return tuple(notes)
