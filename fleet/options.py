"""Options that several verbs take, and how they become settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rehearsal.places import REPOSITORY
from settings.context import settings_from_context
from settings.errors import FaultyValueError, SettingsError
from settings.model import Settings
from settings.overrides import ENVIRONMENT_KEY, parse_assignments

EnvironmentOption = Annotated[
    Path | None,
    typer.Option("--environment", "-e", help="Environment file. [default: the one that cdktf.json names]"),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override one setting, e.g. instance_type=g5.12xlarge; repeatable."
    ),
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", envvar="CDKTF_OUTPUT", help="Folder for the synthesized Terraform.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking.")]
DEFAULT_OUTPUT = Path("cdktf.out")


@dataclass(frozen=True)
class Chosen:
    """The settings that a command line means, and the overrides that lead to them from the environment file."""

    settings: Settings
    overrides: dict[str, object]


def choose(environment: Path | None, assignments: list[str] | None) -> Chosen:
    """Read the settings.

    Raises:
        SettingsError: with every fault.
    """
    try:
        overrides = parse_assignments(assignments or [])
    except FaultyValueError as error:
        raise SettingsError(error.faults) from None
    if environment:
        overrides[ENVIRONMENT_KEY] = str(environment.resolve())
    return Chosen(settings_from_context(os.environ, folder=REPOSITORY, strongest=overrides), overrides)
