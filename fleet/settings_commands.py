"""`fleet settings`: check a settings file, print the JSON Schema of all of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from settings.errors import FaultyValueError, SettingsError
from settings.load import load_settings
from settings.overrides import parse_assignments
from settings.schema import render_schema
from settings.summary import DeploymentSummary, summarize

app = typer.Typer(help="Check settings files; print their JSON Schema.", no_args_is_help=True, add_completion=False)

File = Annotated[Path, typer.Argument(help="Settings file, like environments/example.toml.", metavar="FILE")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Override one key: model_id=…, router.port=…, any SGLang argument.", metavar="KEY=VALUE"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


def overrides_of(assignments: list[str] | None) -> dict[str, object]:
    """Return the overrides of `--set` words.

    Raises:
        SettingsError: a word is not `key=value`.
    """
    try:
        return parse_assignments(assignments or [])
    except FaultyValueError as error:
        raise SettingsError(error.faults) from None


@app.command()
def check(file: File, assignments: Assignments = None, as_json: AsJson = False) -> None:
    """Check a settings file and show what it deploys; exit code 2 and one line per fault when it cannot."""
    summary = summarize(load_settings(file, overrides_of(assignments)))
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(summary), indent=2))
        return
    console = Console(highlight=False, markup=False)
    console.print(f"{file}: {summary.name} in {summary.region}, router {summary.router}", soft_wrap=True)
    console.print(_table(summary))
    for pool in summary.pools:
        console.print(f"{pool.name}: {pool.fit}", soft_wrap=True)
    console.print(
        f"Workers, on-demand: {_dollars(summary.usd_per_hour_min)} to {_dollars(summary.usd_per_hour_max)} per hour "
        f"({_priced(summary)})",
        soft_wrap=True,
    )


def _table(summary: DeploymentSummary) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Pool", "Type", "GPUs"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Workers", justify="right", no_wrap=True)
    table.add_column("$/hour", justify="right", no_wrap=True)
    table.add_column("Model", overflow="fold")
    for pool in summary.pools:
        sizes = f"{pool.min_size}-{pool.max_size}"
        costs = f"{_dollars(pool.usd_per_hour_min)}-{_dollars(pool.usd_per_hour_max)}"
        table.add_row(pool.name, pool.instance_type, pool.gpus, sizes, costs, pool.model_id)
    return table


def _priced(summary: DeploymentSummary) -> str:
    if summary.price_date is None:
        return f"no price in {summary.region}; `fleet prices --region {summary.region} --write` reads them"
    return f"prices of {summary.price_date} in {summary.region}"


def _dollars(amount: float | None) -> str:
    return "unknown" if amount is None else f"${amount:,.2f}"


@app.command()
def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of a settings file, for editors."""
    typer.echo(render_schema(), nl=False)
