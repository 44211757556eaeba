"""The generated parts of docs/cost.md as Markdown; `python -m settings.costs.report` prints them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from settings.costs.amount import CASES, Amount
from settings.costs.charge import bill_of
from settings.costs.estate import estate_of
from settings.costs.usage import NOT_COUNTED, Usage
from settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from settings.costs.bill import Bill, CostLine

EXAMPLE_MODEL_BYTES = 19_300_000_000
"""DeepSeek-R1-Distill-Qwen-32B-AWQ, the default model."""


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ("---",) * len(header), *rows))


def bill_table(bill: Bill) -> str:
    """Return a bill as Markdown: amounts and USD per hour in the three cases, unit, price and its day."""
    header = ("Stack", "Line", "Amount: least, expected, most", "Unit", "USD a unit", "Price of", *CASES)
    totals = (f"**{bill.total(case).usd_per_hour:.4f}**" for case in CASES)
    return table(header, [*map(_row, bill.lines), ("", "**USD per hour**", "", "", "", "", *totals)])


def _row(line: CostLine) -> tuple[str, ...]:
    amounts = "unknown" if line.amount is None else _amounts(line.amount)
    price = f"{line.usd_per_unit:.8g}" if line.usd_per_unit is not None else "no price"
    figures = (line.usd_per_hour(case) for case in CASES)
    shown = ("unknown" if figure is None else f"{figure:.4f}" for figure in figures)
    return (line.stack, line.name, amounts, line.unit, price, line.date or "", *shown)


def _amounts(amount: Amount) -> str:
    values = [f"{amount.of(case):.6g}" for case in CASES]
    return values[0] if len(set(values)) == 1 else ", ".join(values)


def usage_table() -> str:
    """Return every assumption of a bill."""
    usage = Usage()
    rows = []
    for one in fields(usage):
        value = getattr(usage, one.name)
        rows.append((f"`{one.name}`", _amounts(value) if isinstance(value, Amount) else f"{value:g}"))
    return table(("Assumption (`settings/costs/usage.py`)", "Value"), rows)


def sections() -> dict[str, str]:
    """Return every generated part of docs/cost.md by the name in its markers."""
    bill = bill_of(estate_of(Settings(), {"default": EXAMPLE_MODEL_BYTES}))
    left_out = "\n".join(f"- {text}" for text in NOT_COUNTED)
    return {"bill": bill_table(bill), "usage": usage_table(), "not counted": left_out}


if __name__ == "__main__":
    for title, text in sections().items():
        print(f"<!-- generated: {title} -->\n{text}\n<!-- end: {title} -->\n")  # noqa: T201 - its purpose
