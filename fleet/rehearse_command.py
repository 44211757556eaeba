"""`fleet rehearse`: the whole line on an emulated AWS, no account needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rehearsal.cloud_config import EngineKind
from rehearsal.options import ENVIRONMENT, MINIMUM_REQUESTS, Options
from rehearsal.scenarios.pace import PaceName
from settings.errors import FaultyValueError
from settings.overrides import parse_assignments

BAKE = "bake"
"""The scenario that is played before the deploy: no load runs while images are baked."""


def rehearse(  # noqa: PLR0913, PLR0917 - one parameter per option of the command
    environment: Annotated[
        Path, typer.Option("--environment", "-e", help="Settings file; its VPC must be loopback.")
    ] = ENVIRONMENT,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override one setting, as key=value; repeatable.")
    ] = None,
    engine: Annotated[EngineKind, typer.Option(help="Emulator, or real SGLang on CPU with a tiny model.")] = "emulator",
    workers: Annotated[int | None, typer.Option(min=1, help="Workers of the first pool.")] = None,
    requests: Annotated[
        int, typer.Option(min=MINIMUM_REQUESTS, help="Completions to send, half of them streamed.")
    ] = 20,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the deployment running and say how to use and stop it.")
    ] = False,
    scenarios: Annotated[
        list[str] | None,
        typer.Option("--scenario", help="Play this scenario under load (bake: before it); repeatable."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Play all scenarios; they take about two hours.")] = False,
    pace: Annotated[PaceName, typer.Option(help="full: 210 requests in flight; short: as in the tests.")] = "full",
    down: Annotated[bool, typer.Option("--down", help="Stop a deployment that was kept, and nothing else.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
) -> None:
    """Deploy, serve and destroy on an emulated AWS: no account, no credentials, nothing but loopback addresses.

    Exit status: 0 passed, 1 failed, 2 bad settings or a missing tool, 130 interrupted.
    """
    from rehearsal import run  # noqa: PLC0415 - boto3 and openai take a second that `fleet --help` should not

    console = Console(stderr=as_json)
    try:
        overrides = parse_assignments(assignments or [])
    except FaultyValueError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(run.BAD_INPUT) from error
    names = _scenarios(scenarios or [], console, every=every, engine=engine)
    options = Options(
        environment=environment.resolve(),
        overrides=overrides,
        engine=engine,
        workers=workers,
        requests=requests,
        keep=keep,
        as_json=as_json,
        bake=BAKE in names,
        scenarios=tuple(name for name in names if name != BAKE),
        pace="real" if engine == "sglang" else pace,
    )
    raise typer.Exit(run.down(options, console) if down else run.rehearse(options, console))


def _scenarios(names: list[str], console: Console, *, every: bool, engine: EngineKind) -> tuple[str, ...]:
    from rehearsal.scenarios.catalogue import SCENARIOS  # noqa: PLC0415 - as above

    possible = [name for name, scenario in SCENARIOS.items() if engine == "emulator" or scenario.real_engine]
    if engine == "emulator":
        possible.insert(0, BAKE)
    unknown = [name for name in names if name not in possible]
    if unknown:
        console.print(
            f"--scenario: no '{unknown[0]}' with --engine {engine}; one of {', '.join(possible)}", markup=False
        )
        raise typer.Exit(2)
    return tuple(possible if every else dict.fromkeys(names))
