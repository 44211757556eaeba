"""What a scenario must show, and whether it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Check:
    """One demand on a scenario: what was wanted, what was seen."""

    name: str
    wanted: str
    seen: str
    passed: bool


def at_most(name: str, limit: float, seen: float | None, unit: str = "s") -> Check:
    """A figure that must not be above `limit`; None, never seen, is not."""
    text = "never" if seen is None else f"{seen:.1f} {unit}"
    return Check(name, f"<= {limit:g} {unit}", text, seen is not None and seen <= limit)


def at_least(name: str, limit: float, seen: float | None, unit: str = "") -> Check:
    """A figure that must not be below `limit`; None, never seen, is."""
    text = "never" if seen is None else f"{seen:.2f} {unit}".strip()
    return Check(name, f">= {limit:g} {unit}".strip(), text, seen is not None and seen >= limit)


def exactly(name: str, wanted: object, seen: object) -> Check:
    """Two values that must be equal."""
    return Check(name, str(wanted), str(seen), wanted == seen)


def holds(name: str, *, seen: bool) -> Check:
    """Something that must be so."""
    return Check(name, "yes", "yes" if seen else "no", seen)


def checks_table(name: str, title: str, checks: Sequence[Check], seconds: float) -> Table:
    """The checks of a scenario, for people."""
    verdict = "[bold green]PASS[/]" if all(check.passed for check in checks) else "[bold red]FAIL[/]"
    table = Table(title=f"{name}: {title} {verdict} in {seconds:.0f} s", title_justify="left")
    for column in ("check", "wanted", "seen", "result"):
        table.add_column(column, overflow="fold")
    for check in checks:
        result = "[green]pass[/]" if check.passed else "[red]FAIL[/]"
        table.add_row(escape(check.name), escape(check.wanted), escape(check.seen), result)
    return table


def told(name: str, seen: str) -> Check:
    """A figure that is measured and printed, without a limit."""
    return Check(name, "measured", seen, passed=True)


def after(later: float | None, earlier: float | None) -> float | None:
    """Seconds between two moments; None when one of them never came."""
    return None if later is None or earlier is None else later - earlier
