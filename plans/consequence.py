"""What a change means, in words, and how grave it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from plans.change import Change


class Weight(StrEnum):
    """How grave a consequence is, gravest first."""

    REFUSED = "refused"  # never to be applied; no option allows it
    DESTRUCTIVE = "destructive"  # service or data is lost; `--allow-replace STACK` allows it
    NOTE = "note"  # worth reading


@dataclass(frozen=True)
class Consequence:
    """One consequence. `addresses` are the resources that it speaks of."""

    stack: str
    weight: Weight
    text: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Speaker:
    """Makes the consequences of one stack."""

    stack: str

    def note(self, text: str, *about: Change) -> Consequence:
        """Worth reading."""
        return self._say(Weight.NOTE, text, about)

    def destructive(self, text: str, *about: Change) -> Consequence:
        """Service or data is lost."""
        return self._say(Weight.DESTRUCTIVE, text, about)

    def refused(self, text: str, *about: Change) -> Consequence:
        """Not to be applied."""
        return self._say(Weight.REFUSED, text, about)

    def _say(self, weight: Weight, text: str, about: Iterable[Change]) -> Consequence:
        return Consequence(self.stack, weight, text, tuple(change.address for change in about))


def several(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 worker`, `3 workers`."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def listed(items: Iterable[str], most: int = 6) -> str:
    """Items in a row, the last ones counted when there are many."""
    names = list(items)
    shown = names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return ", ".join(shown)
