"""The summary on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from plans.consequence import Consequence, Weight
from plans.detail import Row, rows
from plans.sections import Section, Table
from plans.summary import COUNTED, ExitCode, Summary

STYLES = {Weight.REFUSED: "bold red", Weight.DESTRUCTIVE: "bold yellow", Weight.NOTE: ""}
VERDICTS = {ExitCode.NO_CHANGES: "bold green", ExitCode.CHANGES: "bold cyan", ExitCode.ATTENTION: "bold yellow"}
SIGN_STYLES = {"+": "green", "~": "cyan", "±": "yellow", "-": "red", ".": ""}
INDENT = (0, 0, 0, 2)


def terminal(summary: Summary) -> RenderableType:
    """Render a summary; all of it, however long."""
    return Group(*_parts(summary))


def _parts(summary: Summary) -> Iterator[RenderableType]:
    yield Text.assemble(("Plan: ", "bold"), summary.title)
    yield Text(summary.verdict, style=VERDICTS[summary.exit_code])
    yield from (Text(f"note: {note}", style="dim") for note in summary.notes)
    yield _stacks(summary)
    if summary.consequences:
        yield Text("What it means", style="bold")
        yield from (_consequence(summary, item) for item in summary.consequences)
    for section in summary.sections:
        yield Text("")
        yield from _section(section)
    for plan in summary.plans:
        if plan.changes:
            yield Text(f"\n{plan.stack}", style="bold")
            yield from (_row(row) for row in rows(plan))


def _stacks(summary: Summary) -> RichTable:
    table = RichTable("stack")
    for action in COUNTED:
        table.add_column(str(action), justify="right")
    table.add_column("unchanged", justify="right")
    for plan in summary.plans:
        name = f"{plan.stack} (new)" if plan.is_new else plan.stack
        table.add_row(Text(name), *(str(plan.count(action) or "") for action in COUNTED), str(plan.unchanged))
    return table


def _consequence(summary: Summary, item: Consequence) -> Padding:
    style = STYLES[item.weight] if summary.stops(item) else ""
    sign = {Weight.REFUSED: "✗", Weight.DESTRUCTIVE: "!", Weight.NOTE: "·"}[item.weight]
    sign = sign if summary.stops(item) or item.weight is Weight.NOTE else "✓"
    return Padding(Text.assemble((f"{sign} {item.stack} ", style or "bold"), (summary.told(item), style)), INDENT)


def _section(section: Section) -> Iterator[RenderableType]:
    yield Text(section.title, style="bold")
    for problem in section.problems:
        yield Padding(Text(f"! {problem.where} {problem.text}", style=STYLES[Weight.DESTRUCTIVE]), INDENT)
    yield from (Padding(Text(line), INDENT) for line in section.render_lines())
    yield from (_table(table) for table in section.render_tables())


def _table(table: Table) -> RichTable:
    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(table.columns):
        shown.add_column(name, justify="right" if number in table.right else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(text) for text in row))
    return shown


def _row(row: Row) -> Padding:
    return Padding(Text.assemble((f"{row.sign} {row.what}", SIGN_STYLES[row.sign]), (f"  {row.detail}", "dim")), INDENT)
