"""What changes in the file that hosts read at boot: an output of the stack, so that a plan shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from plans.change import Json, StackPlan, as_text, inner

NODE_CONFIG = "node_config"
ARGUMENTS = ("worker", "engine_arguments")


@dataclass(frozen=True)
class Node:
    """The file before and after; None where the plan does not change it or has no such side."""

    before: Json = None
    after: Json = None

    @classmethod
    def of(cls, plan: StackPlan) -> Node:
        """The file of a stack's hosts."""
        found = next((output for output in plan.outputs if output.name == NODE_CONFIG), None)
        return cls(_parsed(found.before), _parsed(found.after)) if found else cls()

    def was(self, *path: str | int) -> str:
        """A value before, as text."""
        return as_text(inner(self.before, *path))

    def becomes(self, *path: str | int) -> str:
        """A value afterwards, as text."""
        return as_text(inner(self.after, *path))

    def differs(self, *path: str | int) -> bool:
        """Whether there is the value on both sides, and it is another."""
        return bool(self.was(*path)) and bool(self.becomes(*path)) and self.was(*path) != self.becomes(*path)

    def differences(self) -> tuple[str, ...]:
        """Every value that differs, `name before → after`; empty unless both sides are there."""
        if self.before is None or self.after is None:
            return ()
        return tuple(_differences(_flat(self.before), _flat(self.after)))


def _parsed(text: Json) -> Json:
    if not isinstance(text, str):
        return None
    try:
        value: Json = json.loads(text)
    except ValueError:  # an output of that name in a stack that is not ours
        return None
    return value


def _flat(value: Json, name: str = "") -> dict[str, str]:
    """Leaves by their dotted name; the engine's arguments by the name of each."""
    if name == ".".join(ARGUMENTS) and isinstance(value, list):
        return _arguments([str(word) for word in value])
    if isinstance(value, dict):
        parts = (_flat(item, f"{name}.{key}" if name else key) for key, item in value.items())
        return {key: text for part in parts for key, text in part.items()}
    return {name: as_text(value)}


def _arguments(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word
            found[name] = ""
        elif name:
            found[name] = f"{found[name]} {word}".strip()
    return found


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old is None:
            yield f"{name} {new}".strip() + " added"
        elif new is None:
            yield f"{name} {old}".strip() + " dropped"
        else:
            yield f"{name} {old or '(empty)'} → {new or '(empty)'}"
