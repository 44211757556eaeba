"""`fleet images`: the baked images of a region, what they cost, who uses them; and deleting those that nobody needs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from fleet import images_report as report
from fleet.aws_errors import FAILED, explained
from fleet.options import EnvironmentOption, SetOption, YesOption, choose
from packer.account import Account
from packer.inventory import Inventory, read_inventory
from packer.prune import Pruned, PrunePlan, apply_prune, plan_prune
from packer.usage import uses_of
from settings.model import Settings

PIPE_COLUMNS = 240  # where nobody sees a terminal, a line of a table stays one line
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
KeepOption = Annotated[
    int, typer.Option("--keep", min=0, help="Keep so many of each role, architecture and model, the newest.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan, and delete nothing.")]
app = typer.Typer(add_completion=False, invoke_without_command=True)


@app.callback()
@explained
def images(
    context: typer.Context,
    environment: EnvironmentOption = None,
    overrides: SetOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the baked images of the settings' region: age, key, model, size, cost per month, and who uses them."""
    if context.invoked_subcommand:
        return
    settings, now = choose(environment, overrides).settings, datetime.now(UTC)
    account = Account(settings.region)
    inventory = read_inventory(account)
    uses, problem = _uses_or_problem(account, settings)
    if as_json:
        typer.echo(json.dumps(report.as_json(inventory, uses), indent=1))
    else:
        _show(inventory, uses, now)
    if problem:
        _console(stderr=True).print(f"who uses the images cannot be told: {problem}", soft_wrap=True)
        raise typer.Exit(FAILED)


def _show(inventory: Inventory, uses: report.Uses | None, now: datetime) -> None:
    console = _console()
    if not inventory.images:
        console.print("No baked images here. `fleet bake` makes them.")
        return
    console.print(report.table_of(inventory, uses, now))
    total = sum(inventory.usd_per_month(image) for image in inventory.images)
    console.print(f"\n{len(inventory.images)} images, {total:.2f} USD per month at most.")
    console.print(report.COST_NOTE, soft_wrap=True)
    if inventory.orphans:
        console.print(f"{len(inventory.orphans)} snapshots without an image; `fleet images prune` deletes them.")


@app.command()
@explained
def prune(  # noqa: PLR0913 - one parameter per option of the command
    keep: KeepOption,
    environment: EnvironmentOption = None,
    overrides: SetOption = None,
    *,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete images that nobody uses and that are not among the newest, with their snapshots. Shows the plan first.

    An image that a parameter, a launch template or an instance names is never deleted. When that cannot be found out,
    nothing is.
    """
    settings, console = choose(environment, overrides).settings, _console(stderr=as_json)
    account = Account(settings.region)
    inventory = read_inventory(account)
    plan = plan_prune(inventory, _known_uses(account, settings), keep)
    console.print(report.prune_table(plan, inventory))
    if plan.is_empty or dry_run:
        console.print("Nothing to delete." if plan.is_empty else "Nothing was deleted: --dry-run.")
        _finish(plan, None, as_json=as_json)
        return
    if not yes:
        typer.confirm(f"Delete {len(plan.to_delete)} images for good?", abort=True, err=as_json)
    pruned = apply_prune(account.ec2, plan, _known_uses(account, settings))
    for line in (*pruned.spared, *pruned.problems):
        console.print(line, soft_wrap=True)
    console.print(f"Deleted {len(pruned.images)} images and {len(pruned.snapshots)} snapshots.")
    _finish(plan, pruned, as_json=as_json)


def _finish(plan: PrunePlan, pruned: Pruned | None, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.prune_json(plan, pruned), indent=1))
    if pruned and pruned.problems:
        raise typer.Exit(FAILED)


def _known_uses(account: Account, settings: Settings) -> report.Uses:
    """Who uses which image; ends the command when that is not known."""
    uses, problem = _uses_or_problem(account, settings)
    if uses is None:
        message = f"nothing is deleted, because who uses the images cannot be told: {problem}"
        _console(stderr=True).print(message, soft_wrap=True)
        raise typer.Exit(FAILED)
    return uses


def _uses_or_problem(account: Account, settings: Settings) -> tuple[report.Uses | None, str]:
    try:
        return uses_of(account, settings), ""
    except ClientError as error:
        details = error.response["Error"]
        return None, f"{error.operation_name}: {details['Code']}: {details['Message']}"
    except BotoCoreError as error:
        return None, str(error)


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, markup=False, width=None if stream.isatty() else PIPE_COLUMNS)
