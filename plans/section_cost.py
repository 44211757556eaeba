"""Cost: USD per hour in three cases, the change against what is deployed, and of a million tokens at a stated load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from plans.bills import Bills, bills_of
from plans.change import Json, StackPlan
from plans.model_size import bytes_by_pool
from plans.sections import PlainSection, Table
from settings.costs.amount import CASES
from settings.costs.bill import Bill, CostLine
from settings.costs.charge import bill_of
from settings.costs.estate import estate_of
from settings.costs.tokens import Load, TokenCost, token_cost
from settings.model import Settings

SHOWN_USD = 0.01
"""A line that costs less an hour in every case is told with others (7 USD a month)."""
STACK_COLUMNS = ("stack", *(f"USD/hour {case}" for case in CASES))
LINE_COLUMNS = ("line", "amount", "USD/unit", "price of", *CASES)
CHANGE_COLUMNS = ("stack", "what changes", "USD/hour least", "with the workers of now", "most")


def settings_cost(settings: Settings, plans: Sequence[StackPlan], load: Load | None = None) -> PlainSection:
    """Return what the settings cost, what an apply changes of it, and USD per million tokens at a load."""
    sizes = bytes_by_pool(settings.workers)
    estate = estate_of(settings, sizes)
    tokens = token_cost(settings, load, sizes) if load else None
    return _section(bill_of(estate), bills_of(plans, estate.own_images), tokens)


def planned_cost(plans: Sequence[StackPlan]) -> PlainSection:
    """Return what plans tell without settings: the cost of their stacks afterwards, and the change."""
    bills = bills_of(plans)
    if bills.after is None:
        return PlainSection("Cost", (f"not told: {bills.untold}",))
    return _section(bills.after, bills, None, f"of {', '.join(sorted(plan.stack for plan in plans))}: ")


def _section(bill: Bill, bills: Bills, tokens: TokenCost | None, where: str = "") -> PlainSection:
    lines = [f"{where}{_totals(bill)}", _difference(bills)]
    lines += [str(tokens)] if tokens else []
    if bill.oldest_price:
        lines.append(
            f"list prices of {bill.region}, the oldest of {bill.oldest_price}; docs/cost.md has what is assumed"
        )
    tables = (
        _table(STACK_COLUMNS, [_stack_row(bill, stack) for stack in bill.stacks], 1),
        _table(LINE_COLUMNS, list(_line_rows(bill)), 2, texts=frozenset({3})),
        _table(CHANGE_COLUMNS, [] if bills.is_new else list(_change_rows(bills)), 2),
    )
    return PlainSection(
        "Cost",
        (*lines, *bill.problems),
        tuple(table for table in tables if table.rows),
        data=_data(bill, bills, tokens),
    )


def _totals(bill: Bill) -> str:
    if not bill.lines:
        return "nothing is left that costs, but for images and their snapshots (`fleet images` lists them)"
    first, *others = (bill.total(case) for case in ("expected", "least", "most"))
    if first.is_complete and all(total.is_complete for total in others):
        least, most = (f"{total.usd_per_hour:,.2f}" for total in others)
        return f"{first} as expected, {least} at the least size, {most} at the largest"
    least, most = map(str, others)
    return f"{first} as expected; {least} at the least size; {most} at the largest"


def _difference(bills: Bills) -> str:
    if bills.after is None:
        return f"the change against what is deployed cannot be told: {bills.untold}"
    if bills.is_new:
        return "nothing of it is deployed yet"
    if not bills.changes:
        return "no change against what is deployed"
    more = bills.difference
    if more is None:
        return "the change against what is deployed cannot be told: a line that changes has no price"
    cases = f"{more.least:+,.2f} at the least size, {more.most:+,.2f} at the largest"
    return f"against what is deployed: {more.expected:+,.2f} USD per hour with as many workers as now, {cases}"


def _table(
    columns: tuple[str, ...], rows: list[tuple[str, ...]], first: int, texts: frozenset[int] = frozenset()
) -> Table:
    return Table(columns, tuple(rows), frozenset(range(first, len(columns))) - texts)


def _stack_row(bill: Bill, stack: str) -> tuple[str, ...]:
    totals = (bill.total(case, stack) for case in CASES)
    return (stack, *(f"{total.usd_per_hour:.2f}{'' if total.is_complete else ' and more'}" for total in totals))


def _line_rows(bill: Bill) -> Iterator[tuple[str, ...]]:
    small = [line for line in bill.lines if _is_small([line.usd_per_hour(case) for case in CASES])]
    for stack in bill.stacks:
        rows = [_line_row(line) for line in bill.lines if line.stack == stack and line not in small]
        if rows:
            yield (stack, *[""] * (len(LINE_COLUMNS) - 1))
        yield from rows
    if small:
        sums = (sum(line.usd_per_hour(case) or 0.0 for line in small) for case in CASES)
        yield (_others(len(small)), "", "", "", *(f"{one:.3f}" for one in sums))


def _is_small(figures: Sequence[float | None]) -> bool:
    return all(figure is not None and abs(figure) < SHOWN_USD for figure in figures)


def _others(number: int) -> str:
    return f"{number} {'line' if number == 1 else 'lines'} below {SHOWN_USD} (see --json)"


def _line_row(line: CostLine) -> tuple[str, ...]:
    times = " x " if line.unit[:1].isdigit() else " "
    amount = "unknown" if line.amount is None else f"{line.amount.expected:.4g}{times}{line.unit}"
    figures = (line.usd_per_hour(case) for case in CASES)
    shown = ("unknown" if figure is None else f"{figure:.3f}" for figure in figures)
    return (f"· {line.name}", amount, _price(line), line.date or "", *shown)


def _price(line: CostLine) -> str:
    return "no price" if line.usd_per_unit is None else f"{line.usd_per_unit:.8f}".rstrip("0").rstrip(".")


def _change_rows(bills: Bills) -> Iterator[tuple[str, ...]]:
    small = [one for one in bills.changes if _is_small([one.usd_per_hour(case) for case in CASES])]
    for one in bills.changes:
        if one not in small:
            yield (one.stack, one.name, *(_signed(one.usd_per_hour(case)) for case in CASES))
    if small:
        sums = (sum(one.usd_per_hour(case) or 0.0 for one in small) for case in CASES)
        yield ("", _others(len(small)), *map(_signed, sums))


def _signed(figure: float | None) -> str:
    if figure is None:
        return "unknown"
    return f"{figure:+.3f}" if round(figure, 3) else "0"


def _data(bill: Bill, bills: Bills, tokens: TokenCost | None) -> dict[str, Json]:
    totals = {case: bill.total(case) for case in CASES}
    return {
        "region": bill.region,
        "usd_per_hour": {case: round(total.usd_per_hour, 4) for case, total in totals.items()},
        "unpriced": list(totals["most"].unpriced),
        "problems": list(bill.problems),
        "lines": [_line(line) for line in bill.lines],
        "change": _change(bills),
        "usd_per_million_output_tokens": tokens.usd_per_million_output if tokens else None,
    }


def _line(line: CostLine) -> Json:
    return {
        "stack": line.stack,
        "name": line.name,
        "amount": asdict(line.amount) if line.amount else None,
        "unit": line.unit,
        "usd_per_unit": line.usd_per_unit,
        "date": line.date,
        "source": line.price.source if line.price else None,
        "usd_per_hour": {case: line.usd_per_hour(case) for case in CASES},
        "note": line.note or line.problem,
    }


def _change(bills: Bills) -> Json:
    if bills.after is None:
        return {"untold": bills.untold}
    more = bills.difference
    lines: list[Json] = [
        {"stack": one.stack, "name": one.name, "usd_per_hour": {case: one.usd_per_hour(case) for case in CASES}}
        for one in bills.changes
    ]
    return {"usd_per_hour": asdict(more) if more else None, "nothing_deployed": bills.is_new, "lines": lines}
