"""`fleet destroy`: take a deployment down and look whether anything of it is left."""

from __future__ import annotations

from typing import Annotated

import boto3
import typer
from rich.console import Console

from fleet import api_key, cdktf
from fleet.aws_errors import FAILED, explained
from fleet.leftovers import left_of
from fleet.options import DEFAULT_OUTPUT, EnvironmentOption, OutputOption, SetOption, YesOption, choose
from settings.naming import STACK_STATE, stack_names
from user_data.node_config import TAG_DEPLOYMENT

WithStateOption = Annotated[
    bool, typer.Option("--with-state", help="Also destroy the state bucket (needs state.force_destroy).")
]
command = typer.Typer(add_completion=False)


@command.command()
@explained
def destroy(
    environment: EnvironmentOption = None,
    overrides: SetOption = None,
    output: OutputOption = DEFAULT_OUTPUT,
    *,
    yes: YesOption = False,
    with_state: WithStateOption = False,
) -> None:
    """Destroy the stacks and the API key, then list what is left. Keeps the state bucket unless told otherwise."""
    chosen = choose(environment, overrides)
    settings, console = chosen.settings, Console()
    stacks = [name for name in stack_names(settings) if with_state or name != STACK_STATE]
    cdktf.run("destroy", stacks, output, chosen.overrides, ask=not yes)
    if settings.api_key_parameter:
        ssm = boto3.client("ssm", region_name=settings.region)
        gone = api_key.delete_api_key(ssm, settings.api_key_parameter)
        console.print(f"API key {settings.api_key_parameter}: {'deleted' if gone else 'was not there'}")
    left = [arn for arn in left_of(settings) if with_state or not arn.endswith(f":{settings.state_bucket}")]
    if left:
        console.print(f"[bold red]{len(left)} resources are left:[/bold red]", *left, sep="\n  ")
        raise typer.Exit(FAILED)
    console.print(f"Nothing tagged {TAG_DEPLOYMENT}={settings.name} is left.")
