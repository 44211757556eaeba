"""One stack's plan as the rest of this folder sees it: changes of resources and of outputs, nothing of Terraform's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
EMPTY: tuple[Json, ...] = (None, "", [], {}, False, 0)
# Attributes that the provider counts or copies from others.
DERIVED = frozenset({"default_version", "latest_version", "tags_all"})
NOTHING: Mapping[str, Json] = MappingProxyType({})


class Action(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    DESTROY = "destroy"
    FORGET = "forget"  # leaves the state, stays in the account


@dataclass(frozen=True)
class Change:
    """A resource that the plan does something to. Secrets are masked; `unknown` are the values only an apply tells."""

    address: str
    kind: str
    action: Action
    before: Mapping[str, Json] = field(default_factory=dict)
    after: Mapping[str, Json] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    forced_by: tuple[str, ...] = ()
    new_first: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """Attributes that differ, sorted; of a new or an old resource, none."""
        if self.action not in {Action.CHANGE, Action.REPLACE}:
            return ()
        names = self.before.keys() | self.after.keys()
        known = names - self.unknown - DERIVED
        other = {name for name in known if differ(self.before.get(name), self.after.get(name))}
        # Of a replaced resource nearly everything is unknown; and what was empty and is unknown is the provider's.
        had = {name for name in self.unknown - DERIVED if self.before.get(name) not in EMPTY}
        return tuple(sorted(other | (had if self.action is Action.CHANGE else set())))

    def was(self, name: str) -> str:
        """An attribute before, as text; empty where there is none."""
        return as_text(self.before.get(name))

    def becomes(self, name: str) -> str:
        """An attribute afterwards, as text."""
        return "(known after apply)" if name in self.unknown else as_text(self.after.get(name))

    def number_before(self, name: str) -> int | None:
        """A whole number before."""
        return as_number(self.before.get(name))

    def number_after(self, name: str) -> int | None:
        """A whole number afterwards."""
        return as_number(self.after.get(name))

    @property
    def ends(self) -> bool:
        """Whether what is there now goes away."""
        return self.action in {Action.REPLACE, Action.DESTROY}


@dataclass(frozen=True)
class OutputChange:
    """An output of a stack that the plan changes."""

    name: str
    before: Json
    after: Json
    unknown: bool


@dataclass(frozen=True)
class StackPlan:
    """The plan of one stack.

    `on_placeholders`: what it reads of other stacks is made up, because they are not deployed. `everything`: attributes
    of each resource as the plan leaves it, by address: what policies look at. `deployed`: the same as it is now.
    """

    stack: str
    deployment: str
    region: str
    changes: tuple[Change, ...] = ()
    unchanged: int = 0
    outputs: tuple[OutputChange, ...] = ()
    drifted: tuple[Change, ...] = ()
    tool_version: str = ""
    on_placeholders: bool = False
    everything: tuple[Planned, ...] = field(default=(), repr=False)
    deployed: tuple[Planned, ...] = field(default=(), repr=False)

    def of(self, *kinds: str) -> Iterator[Change]:
        """The changes of some types."""
        return (change for change in self.changes if change.kind in kinds)

    def count(self, action: Action) -> int:
        """How many resources one thing happens to."""
        return sum(change.action is action for change in self.changes)

    @property
    def is_new(self) -> bool:
        """Whether nothing of the stack is there yet."""
        return self.unchanged == 0 and bool(self.changes) and self.count(Action.CREATE) == len(self.changes)

    @property
    def changes_something(self) -> bool:
        """Whether an apply would do anything; a changed output alone is something, as Terraform counts it."""
        return bool(self.changes or self.outputs)


@dataclass(frozen=True)
class Planned:
    """A resource as the plan leaves it, or as it is now."""

    address: str
    kind: str
    values: Mapping[str, Json]
    unknown: frozenset[str] = frozenset()


def differ(before: Json, after: Json) -> bool:
    """Whether two values say different things; a provider writes one nothing for another."""
    return before != after and without_empty(before) != without_empty(after)


def without_empty(value: Json) -> Json:
    """A value without the members that say nothing, at any depth; None where that leaves nothing."""
    if isinstance(value, dict):
        bare: dict[str, Json] = {
            name: item for name, inside in value.items() if (item := without_empty(inside)) is not None
        }
        return bare or None
    if isinstance(value, list):
        items = [without_empty(item) for item in value]
        return items if any(item is not None for item in items) else None
    return None if value in EMPTY else value


def as_text(value: Json) -> str:
    """A value as people write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(as_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} = {as_text(item)}" for name, item in value.items())
    return str(value)


def as_number(value: Json) -> int | None:
    """A whole number, if it is one."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def inner(value: Json, *path: str | int) -> Json:
    """A value inside of blocks: `inner(after["warm_pool"], 0, "min_size")`; None where the way ends early."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value
