"""A result as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.plan import Plan
from bench.result import Result, Spread

UNKNOWN = "not told"
SHOWN_ERRORS = 5


def as_json(plan: Plan, result: Result) -> dict[str, Any]:
    """Seconds, tokens, and 1/s; what the server did not tell is null. The plan is there, the key is not."""
    described = asdict(plan)
    trace = plan.prompts.trace
    described["prompts"]["trace"] = None if trace is None else str(trace)
    return {"plan": described, "result": asdict(result)}


def render(plan: Plan, result: Result) -> RenderableType:
    """The table at the end."""
    title = f"{plan.model} at {plan.base_url}: {plan.prompts.dataset}" + (", interrupted" if result.interrupted else "")
    parts: list[RenderableType] = [Text(title), _totals(result), _times(result)]
    parts += [Text(f"{count} x {kind}") for kind, count in list(result.error_kinds.items())[:SHOWN_ERRORS]]
    return Group(*parts)


def _totals(result: Result) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = (
        ("requests", f"{result.requests}"),
        ("errors", f"{result.errors}"),
        ("seconds", f"{result.seconds:.1f}"),
        ("requests/s", f"{result.request_rate:.2f}"),
        ("prompt tokens", _count(result.prompt_tokens)),
        ("output tokens", _count(result.output_tokens)),
        ("prompt tokens/s", _count(result.prompt_rate)),
        ("output tokens/s", _count(result.output_rate)),
        ("from the prefix cache", UNKNOWN if result.cached_share is None else f"{result.cached_share:.1%}"),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _times(result: Result) -> Table:
    table = Table("milliseconds")
    for name in ("mean", "p50", "p90", "p99", "max"):
        table.add_column(name, justify="right")
    for name, spread in (
        ("time to first token", result.first_token),
        ("inter-token", result.inter_token),
        ("latency", result.latency),
    ):
        table.add_row(name, *_milliseconds(spread))
    return table


def _milliseconds(spread: Spread | None) -> list[str]:
    if spread is None:
        return [UNKNOWN] + [""] * 4
    values = (spread.mean, spread.p50, spread.p90, spread.p99, spread.highest)
    return [f"{value * 1000:,.1f}" for value in values]


def _count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"
