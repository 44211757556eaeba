"""`fleet status`: what the deployment consists of now, and whether every worker that is wanted serves."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console

from fleet import status_report
from fleet.aws_errors import FAILED, explained_look
from fleet.fleet_view import read_fleet
from fleet.options import EnvironmentOption, SetOption, choose
from fleet.router_view import read_router

RECENT = timedelta(hours=1)
PIPE_COLUMNS = 160  # where nobody sees a terminal, a line of the table stays one line
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
command = typer.Typer(add_completion=False)


@command.command()
@explained_look
def status(environment: EnvironmentOption = None, overrides: SetOption = None, *, as_json: JsonOption = False) -> None:
    """Show router, pools, workers, and what the groups failed to do in the last hour.

    Exit code: 0 every wanted worker is in service, 1 some are not, 2 it cannot be found out.
    """
    settings, now = choose(environment, overrides).settings, datetime.now(UTC)
    fleet, router = read_fleet(settings, now - RECENT), read_router(settings)
    if as_json:
        typer.echo(json.dumps(status_report.as_json(fleet, router, now - RECENT), indent=1, default=datetime.isoformat))
    else:
        console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
        console.print(status_report.render(fleet, router, now - RECENT, now, None))
    if not fleet.complete:
        raise typer.Exit(FAILED)
