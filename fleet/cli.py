"""The `fleet` command: a group whose verbs are imported when they are used.

`fleet settings check` must not wait for cdktf (seconds) or moto, so a verb is a line in `VERBS`: its name, one line of
help, and where it lives as `module:attribute`. The attribute is a function with Typer's annotations, or a Typer app:
with one command and no callback that is the command itself (`fleet init`), else a group (`fleet settings check`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from settings.errors import SettingsError

if TYPE_CHECKING:
    # Typer carries its own copy of click, whose classes are those of the installed click in all but identity.
    from typer._click.core import Command, Context
    from typer._click.formatting import HelpFormatter

EXIT_BAD_SETTINGS = 2


@dataclass(frozen=True)
class Verb:
    """One verb of `fleet`: where it lives and what `fleet --help` says about it without importing it."""

    where: str
    help: str


VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "settings": Verb("fleet.settings_commands:app", "Check settings files; print their JSON Schema."),
        "facts": Verb("fleet.model_facts:facts", "Read a model's size and shape, for the check whether it fits."),
        "init": Verb("fleet.init_command:command", "Prepare an AWS account: state bucket and API key."),
        "bake": Verb("fleet.bake_command:command", "Bake the machine images of router and workers, and record them."),
        "images": Verb("fleet.images_command:app", "List baked images, what they cost and who uses them; prune them."),
        "synth": Verb("fleet.synth_command:command", "Write the Terraform of every stack."),
        "plan": Verb("fleet.plan_command:plan", "Say what an apply would do and what that means; changes nothing."),
        "status": Verb("fleet.status_command:command", "Show router, pools, workers, and what failed lately."),
        "why": Verb("fleet.why_command:command", "Say why a worker does not serve, or tell one instance's life."),
        "destroy": Verb("fleet.destroy_command:command", "Take a deployment down and look for what is left."),
        "bench": Verb("fleet.bench_command:bench", "Put load on an OpenAI-compatible endpoint and measure it."),
        "simulate": Verb("fleet.simulate_command:simulate", "Replay a recorded load against scaling policies."),
        "prices": Verb("fleet.prices_command:command", "Show the prices that costs are made of; read them from AWS."),
        "rehearse": Verb("fleet.rehearse_command:rehearse", "Deploy, use and destroy it all on an emulated AWS."),
    }
)


def load_verb(where: str) -> Command:
    """Import the module of a verb and return its command."""
    module, _, attribute = where.partition(":")
    found: object = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return get_command(found)
    if not callable(found):
        raise TypeError(f"{where} is neither a Typer app nor a function")
    alone = typer.Typer(add_completion=False)
    alone.command()(found)
    return get_command(alone)


class LazyGroup(TyperGroup):
    """A group that knows its verbs by name and imports one when it is called."""

    def list_commands(self, ctx: Context) -> list[str]:
        """Return the verbs in the order of `VERBS`."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Import a verb."""
        del ctx
        verb = VERBS.get(cmd_name)
        return load_verb(verb.where) if verb else None

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """List the verbs without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        number = version("sglang-fleet")
    except PackageNotFoundError:  # run from a checkout that is not installed
        number = "(not installed)"
    typer.echo(f"fleet {number}")
    raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)]

# Without rich markup, help is laid out by `format_commands` above, which imports nothing.
fleet = typer.Typer(
    cls=LazyGroup, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
)


@fleet.callback()
def root(version_wanted: Version = False) -> None:
    """SGLang on EC2 GPU fleets: check, rehearse and deploy it."""


def main() -> None:
    """Run the command; faults of the settings are printed one per line and end it with exit code 2."""
    try:
        fleet(prog_name="fleet")
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - plain lines, so that a shell can read them
        sys.exit(EXIT_BAD_SETTINGS)
