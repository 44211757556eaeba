"""Which resources are shown one by one, and which only counted: the same choice for every rendering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from plans.change import Action, Change, StackPlan

SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.REPLACE: "±", Action.DESTROY: "-", Action.FORGET: "."}
# What a fleet is made of. Everything else is plain: counted by type.
MAIN_KINDS = frozenset(
    {
        "aws_autoscaling_group",
        "aws_cloudwatch_log_group",
        "aws_instance",
        "aws_launch_template",
        "aws_lb",
        "aws_nat_gateway",
        "aws_s3_bucket",
        "aws_subnet",
        "aws_vpc",
    }
)
LONGEST = 60
# Attributes that say nothing to a reader: encodings, and what the provider derives from others.
OPAQUE = frozenset({"user_data", "user_data_base64", "policy"})


@dataclass(frozen=True)
class Row:
    """A line about one resource, or about several plain ones of a type."""

    sign: str
    what: str
    detail: str = ""


def rows(plan: StackPlan, *, folded: bool = False) -> Iterator[Row]:
    """The resources of a plan: main ones and those that change in place one by one, plain ones counted by type.

    Args:
        plan: of one stack.
        folded: count all of them by type.
    """
    single = [] if folded else [change for change in plan.changes if _is_single(change)]
    for change in single:
        yield Row(SIGNS[change.action], change.address, ", ".join(_differences(change)))
    plain = Counter((change.action, change.kind) for change in plan.changes if change not in single)
    for (action, kind), number in sorted(plain.items(), key=lambda item: (list(Action).index(item[0][0]), item[0][1])):
        yield Row(SIGNS[action], kind if number == 1 else f"{number} x {kind}")


def _is_single(change: Change) -> bool:
    return change.kind in MAIN_KINDS or change.action in {Action.CHANGE, Action.REPLACE}


def _differences(change: Change) -> Iterator[str]:
    """What differs, in the order of the names; an attribute that forces a replacement carries a mark."""
    for name in dict.fromkeys((*change.forced_by, *change.changed)):
        if change.action is Action.REPLACE and name in change.unknown and name not in change.forced_by:
            continue
        mark = " (forces it)" if name in change.forced_by else ""
        before, after = change.was(name), change.becomes(name)
        if name in OPAQUE or max(len(before), len(after)) > LONGEST:
            yield f"{name}{mark}"
        else:
            yield f"{name} {before or '(none)'} → {after or '(none)'}{mark}"
