"""`fleet init`: what has to be there before the first deploy, and must not be in any state."""

from __future__ import annotations

import boto3
import typer
from botocore.exceptions import ClientError
from rich.console import Console

from fleet import api_key, cdktf
from fleet.aws_errors import explained
from fleet.options import DEFAULT_OUTPUT, EnvironmentOption, OutputOption, SetOption, YesOption, choose
from settings.errors import Fault, SettingsError
from settings.model import Settings
from settings.naming import STACK_STATE

command = typer.Typer(add_completion=False)
FORBIDDEN, NOT_FOUND = "403", "404"


@command.command()
@explained
def init(
    environment: EnvironmentOption = None,
    overrides: SetOption = None,
    output: OutputOption = DEFAULT_OUTPUT,
    *,
    yes: YesOption = False,
) -> None:
    """Prepare an account: the bucket for Terraform's state and the API key. Safe to repeat."""
    chosen = choose(environment, overrides)
    settings, console = chosen.settings, Console()
    account = boto3.client("sts", region_name=settings.region).get_caller_identity()["Account"]
    console.print(f"Account {account}, region {settings.region}, deployment [bold]{settings.name}[/bold]")
    if bucket_exists(settings):
        console.print(f"State bucket {settings.state_bucket}: exists")
    else:
        cdktf.run("deploy", [STACK_STATE], output, chosen.overrides, ask=not yes)
        console.print(f"State bucket {settings.state_bucket}: created")
    if settings.api_key_parameter:
        ssm = boto3.client("ssm", region_name=settings.region)
        created = api_key.ensure_api_key(ssm, settings.api_key_parameter, settings.name)
        console.print(f"API key {settings.api_key_parameter}: {'created' if created else 'exists'}")
    console.print("Next: [bold]cdktf diff[/bold] to review a stack, [bold]cdktf deploy '*'[/bold] to apply all.")


def bucket_exists(settings: Settings) -> bool:
    """Whether the state bucket is there and ours.

    Raises:
        SettingsError: the name belongs to somebody else; S3 names are global.
    """
    try:
        boto3.client("s3", region_name=settings.region).head_bucket(Bucket=settings.state_bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == NOT_FOUND:
            return False
        if code == FORBIDDEN:
            rule, remedy = "belongs to another account or is closed to you", "set another name; S3 names are global"
            raise SettingsError([Fault("state.bucket", settings.state_bucket, rule, remedy)]) from None
        raise
    return True
