"""`fleet bake`: settings to machine images, with Packer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fleet.aws_errors import BAD_INPUT, FAILED, explained
from fleet.options import EnvironmentOption, SetOption, choose
from packer import bake as baking
from packer import report
from packer.errors import BakeError, BakeInterruptedError, PackerMissingError
from packer.site import SITE_VARIABLE, emulated_endpoint, load_site

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells say it
PIPE_COLUMNS = 200  # where nobody sees a terminal, a line of a table stays one line
OnlyOption = Annotated[str | None, typer.Option("--only", metavar="router|POOL", help="Bake for this stack only.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Bake although an image with the same content is there.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to standard error.")]
# Hidden: a rehearsal's emulated cloud, or a network with mirrors. Keys and meaning: packer/site.py.
SiteOption = Annotated[Path | None, typer.Option("--site", envvar=SITE_VARIABLE, hidden=True)]
command = typer.Typer(add_completion=False)


@command.command()
@explained
def bake(  # noqa: PLR0913 - one parameter per option of the command
    environment: EnvironmentOption = None,
    overrides: SetOption = None,
    only: OnlyOption = None,
    site: SiteOption = None,
    *,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bake the images that the router and the workers start from, where they are not there yet, and record them.

    Packer launches a temporary host for each, which costs what its type costs while it runs. An image with the same
    content is reused: a second bake with nothing changed changes nothing.

    Exit code: 0 every image is there, 1 a bake failed, 2 settings or tools are at fault, 130 interrupted.
    """
    console, errors = _console(stderr=as_json), _console(stderr=True)
    options = baking.BakeOptions(only, force)
    try:
        _bake(environment, overrides, options, site, console, dry_run=dry_run, as_json=as_json)
    except KeyboardInterrupt:
        errors.print("bake: interrupted before anything was made")
        raise typer.Exit(INTERRUPTED) from None
    except BakeInterruptedError as error:
        errors.print(str(error), soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    except BakeError as error:
        errors.print(str(error), soft_wrap=True)
        raise typer.Exit(BAD_INPUT if isinstance(error, PackerMissingError) else FAILED) from None


def _bake(  # noqa: PLR0913 - the command's options
    environment: Path | None,
    overrides: list[str] | None,
    options: baking.BakeOptions,
    site_file: Path | None,
    console: Console,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    settings, site = choose(environment, overrides).settings, load_site(site_file)
    if not site.endpoint_ec2:
        site = site.model_copy(update={"endpoint_ec2": emulated_endpoint(os.environ)})
    outlook = baking.look(settings, site, options)
    console.print(report.plan_table(outlook))
    if dry_run:
        _print_json(report.plan_json(outlook), wanted=as_json)
        return
    results = baking.apply(settings, site, outlook, console)
    if as_json:
        _print_json(report.result_json(results), wanted=True)
    elif any(result.built for result in results):
        console.print()
        console.print(report.result_table(results))
    if not all(result.built.clean for result in results if result.built):
        raise typer.Exit(FAILED)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, markup=False, width=None if stream.isatty() else PIPE_COLUMNS)


def _print_json(told: dict[str, object], *, wanted: bool) -> None:
    if wanted:
        typer.echo(json.dumps(told, indent=1))
