"""A number in three cases: at the least size of every pool, as expected, and at the largest size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Case = Literal["least", "expected", "most"]
CASES: tuple[Case, ...] = ("least", "expected", "most")


@dataclass(frozen=True)
class Amount:
    """The three numbers. They are cases, not bounds: a warm pool is fullest when few workers serve."""

    least: float
    expected: float
    most: float

    @classmethod
    def always(cls, value: float) -> Amount:
        """The same in every case."""
        return cls(value, value, value)

    def of(self, case: Case) -> float:
        """Return the number of one case."""
        return {"least": self.least, "expected": self.expected, "most": self.most}[case]

    def each(self, change: Callable[[float], float]) -> Amount:
        """Return what `change` makes of every number."""
        return Amount(change(self.least), change(self.expected), change(self.most))

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.least + other.least, self.expected + other.expected, self.most + other.most)

    def __mul__(self, factor: float) -> Amount:
        return self.each(lambda value: value * factor)
