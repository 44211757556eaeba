"""`fleet synth`: what `cdktf synth` writes, with overrides on the command line and a table of what came out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from fleet.options import DEFAULT_OUTPUT, EnvironmentOption, OutputOption, SetOption, choose

command = typer.Typer(add_completion=False)


@command.command()
def synth(
    environment: EnvironmentOption = None, overrides: SetOption = None, output: OutputOption = DEFAULT_OUTPUT
) -> None:
    """Write the Terraform of every stack. Reads no account and changes nothing."""
    settings = choose(environment, overrides).settings
    os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")
    # Imported here: faulty settings are reported in a fraction of the seconds that this takes.
    from cdktf import App  # noqa: PLC0415

    from stacks.app import build_app  # noqa: PLC0415

    app = App(outdir=str(output))
    build_app(app, settings)
    app.synth()
    Console().print(_table(output))


def _table(output: Path) -> Table:
    table = Table("stack", "resources", "file")
    for file in sorted((output / "stacks").glob("*/cdk.tf.json")):
        resources = json.loads(file.read_text())["resource"]
        table.add_row(file.parent.name, str(sum(len(named) for named in resources.values())), str(file))
    return table
