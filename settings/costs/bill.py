"""The bill: every line with its amount, unit, price and date, and what it comes to an hour in three cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.costs.amount import CASES, Amount, Case

if TYPE_CHECKING:
    from settings.costs.prices import Price, PriceList


@dataclass(frozen=True)
class CostLine:
    """One line. `amount` counts units that are there all the time, or for hourly units those of one hour."""

    stack: str
    name: str
    amount: Amount | None
    """None: not known; `problem` says why."""
    unit: str
    item: str
    """The price's name in the catalogue."""
    price: Price | None
    """None: the region has none."""
    problem: str = ""
    note: str = ""

    @property
    def is_priced(self) -> bool:
        """Whether it has a figure. A line of nothing needs no price."""
        return self.amount is not None and (self.price is not None or self.amount == Amount.always(0))

    @property
    def usd_per_unit(self) -> float | None:
        """USD for one unit, None without a price."""
        return self.price.usd if self.price else None

    @property
    def date(self) -> str | None:
        """The day of the price (ISO), None without one."""
        return self.price.date if self.price else None

    def usd_per_hour(self, case: Case) -> float | None:
        """USD per hour in a case, None where it has no figure."""
        if not self.is_priced or self.amount is None:
            return None
        return self.amount.of(case) * self.price.usd / self.price.hours if self.price else 0.0


@dataclass(frozen=True)
class Total:
    """USD per hour of the lines that have a figure, and the names of those that have none."""

    usd_per_hour: float
    unpriced: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.unpriced

    def __str__(self) -> str:
        """Say it: `1.96 USD per hour`, or that it is at least so much and what has no price."""
        figure = f"{self.usd_per_hour:,.2f} USD per hour"
        if self.is_complete:
            return figure
        lines = "1 line has no price" if len(self.unpriced) == 1 else f"{len(self.unpriced)} lines have no price"
        return f"unknown ({lines})" if self.usd_per_hour == 0 else f"more than {figure} ({lines})"


@dataclass(frozen=True)
class Bill:
    """All lines of a deployment, by stack."""

    region: str
    lines: tuple[CostLine, ...]
    prices: PriceList

    def total(self, case: Case, stack: str | None = None) -> Total:
        """Sum up a case, of one stack or of all."""
        lines = [line for line in self.lines if stack in (None, line.stack)]
        figures = [line.usd_per_hour(case) for line in lines]
        unpriced = tuple(f"{line.stack}: {line.name}" for line in lines if not line.is_priced)
        return Total(sum(figure for figure in figures if figure is not None), unpriced)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why lines have no figure, each reason once."""
        missing = [line for line in self.lines if not line.is_priced]
        items = tuple(dict.fromkeys(line.item for line in missing if line.price is None))
        unpriced = (self.prices.why_not(self.region, *items),) if items else ()
        return (*unpriced, *dict.fromkeys(line.problem for line in missing if line.problem))

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks that cost something, in order."""
        return tuple(dict.fromkeys(line.stack for line in self.lines))

    @property
    def oldest_price(self) -> str | None:
        """The oldest day of a price in it (ISO), None where nothing has a price."""
        return min((line.price.date for line in self.lines if line.price), default=None)


@dataclass(frozen=True)
class LineChange:
    """One line that a change touches: USD per hour before and after, by case; None where there is no figure."""

    stack: str
    name: str
    before: Amount | None
    after: Amount | None

    def usd_per_hour(self, case: Case) -> float | None:
        """How much more (or less) it is, None when one side has no figure."""
        if self.before is None or self.after is None:
            return None
        return self.after.of(case) - self.before.of(case)


CENT = 0.00005
"""Less than this an hour (4 cents a month) is no change worth a line."""


def change(before: Bill, after: Bill) -> tuple[LineChange, ...]:
    """Return the lines whose cost differs between two bills; a line that one of them lacks costs nothing there."""
    keys = dict.fromkeys((line.stack, line.name) for bill in (before, after) for line in bill.lines)
    changes = (LineChange(*key, _figures(before, key), _figures(after, key)) for key in keys)
    return tuple(one for one in changes if _differs(one))


def _figures(bill: Bill, key: tuple[str, str]) -> Amount | None:
    lines = [line for line in bill.lines if (line.stack, line.name) == key]
    if any(not line.is_priced for line in lines):
        return None
    return Amount(*(sum(line.usd_per_hour(case) or 0.0 for line in lines) for case in CASES))


def _differs(one: LineChange) -> bool:
    if one.before is None or one.after is None:
        return one.before is not one.after
    return any(abs(one.usd_per_hour(case) or 0.0) >= CENT for case in CASES)
