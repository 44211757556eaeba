"""`fleet simulate`: how a scaling policy would have served a recorded load, and what it would have cost."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from fleet.options import EnvironmentOption, SetOption

TraceOption = Annotated[
    list[Path],
    typer.Option("--trace", help="Mooncake JSONL, Azure CSV or rates per interval as CSV; repeatable with --sweep."),
]
PositiveFactor = Annotated[float | None, typer.Option(help="Factor on the trace's requests per second. [default: 1]")]


def simulate(  # noqa: PLR0913, PLR0917 - one parameter per option of the command
    trace: TraceOption,
    environment: EnvironmentOption = None,
    assignments: SetOption = None,
    rate: PositiveFactor = None,
    peak_workers: Annotated[
        int | None, typer.Option(min=1, help="Choose the rate so that the clairvoyant's largest fleet is about this.")
    ] = None,
    tokens: Annotated[float, typer.Option(help="Factor on prompt and answer lengths.")] = 1.0,
    policy: Annotated[list[str] | None, typer.Option("--policy", help="Simulate this policy; repeatable.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Simulate all policies side by side.")] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Find target_prompt_load, min_size and warm pool of the cheapest fleet.")
    ] = False,
    mode: Annotated[
        Literal["event", "fluid"] | None, typer.Option(help="Every request, or rates. [default: by the trace]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn by chance; same seed, same bytes.")] = 0,
    slo_ttft: Annotated[float, typer.Option(min=0.001, help="Seconds to the first token within the SLO.")] = 2.0,
    slo_itl: Annotated[float, typer.Option(min=0.001, help="Mean seconds between tokens within the SLO.")] = 0.060,
    attainment: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of requests that must be within it.")
    ] = 0.95,
    boot: Annotated[
        float | None, typer.Option(min=0, help="Seconds a cold boot takes. [default: from the settings]")
    ] = None,
    starts: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M"], help="When the trace begins, UTC; then schedules hold. [default: -]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a picture here: FILE.png or FILE.html.")] = None,
) -> None:
    """Serve a recorded load with simulated workers, metrics, alarms and boots. No account, no network, no clock.

    Exit status: 0 simulated, 2 bad input. Spot interruptions and scheduled maximums are not simulated.
    """
    from fleet.simulate_report import Asked, run  # noqa: PLC0415 - numba and numpy take a second

    console = Console(stderr=True, highlight=False, markup=False)
    asked = Asked(
        traces=tuple(trace),
        environment=environment,
        assignments=tuple(assignments or ()),
        rate=rate,
        peak_workers=peak_workers,
        tokens=tokens,
        policies=tuple(dict.fromkeys(policy or ())),
        compare=compare,
        sweep=sweep,
        mode=mode,
        seed=seed,
        slo_ttft=slo_ttft,
        slo_itl=slo_itl,
        attainment=attainment,
        boot=boot,
        starts=starts,
        as_json=as_json,
        plot=plot,
    )
    raise typer.Exit(run(asked, console))
