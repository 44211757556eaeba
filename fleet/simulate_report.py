"""What `fleet simulate` does and prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fleet.options import choose
from settings.errors import Fault, SettingsError
from settings.model import Settings
from simulator.boot import boot_of
from simulator.cluster import Slo
from simulator.compare import Comparison, Outcome
from simulator.plot import SUFFIXES, save
from simulator.recipes import CLAIRVOYANT, NAMES, OURS, ours
from simulator.results import Result, to_json
from simulator.scenario import Mode, Wanted, comparison_of, rate_for, read_trace
from simulator.sweep import Tried, best, frontier, settings_lines, try_all
from simulator.traces import RateTrace, Trace

BAD_INPUT = 2


@dataclass(frozen=True)
class Asked:
    """The command line."""

    traces: tuple[Path, ...]
    environment: Path | None
    assignments: tuple[str, ...]
    rate: float | None
    peak_workers: int | None
    tokens: float
    policies: tuple[str, ...]
    compare: bool
    sweep: bool
    mode: Mode | None
    seed: int
    slo_ttft: float
    slo_itl: float
    attainment: float
    boot: float | None
    starts: datetime | None
    as_json: bool
    plot: Path | None

    @property
    def names(self) -> tuple[str, ...]:
        """The policies to simulate."""
        if self.compare:
            return NAMES
        return self.policies or (OURS, CLAIRVOYANT)

    @property
    def bounded(self) -> bool:
        """Whether the clairvoyant is asked for: then the others are compared with it and start with its fleet."""
        return self.sweep or CLAIRVOYANT in self.names

    def faults(self) -> Iterator[Fault]:
        """What is wrong with it before any file is read."""
        for name in self.policies:
            if name not in NAMES:
                yield Fault("--policy", name, "is not known", f"use one of {', '.join(NAMES)}")
        for option, value in (("--rate", self.rate), ("--tokens", self.tokens)):
            if value is not None and not 0 < value < float("inf"):
                yield Fault(option, value, "is not a number above 0", "1 leaves the trace as it is")
        if self.rate is not None and self.peak_workers is not None:
            yield Fault("--rate", self.rate, "is given together with --peak-workers", "leave one of them out")
        if self.sweep and (self.compare or self.policies):
            yield Fault("--sweep", True, "is given together with --compare or --policy", "sweep first")  # noqa: FBT003
        if len(self.traces) > 1 and not self.sweep:
            yield Fault("--trace", str(self.traces[1]), "is a second trace", "only --sweep takes several")
        if self.plot and self.plot.suffix not in SUFFIXES:
            yield Fault("--plot", str(self.plot), "is no kind of picture", f"end it in {' or '.join(SUFFIXES)}")
        if self.plot and not self.plot.parent.is_dir():
            yield Fault("--plot", str(self.plot), "is in a folder that does not exist", "make the folder first")


def run(asked: Asked, console: Console) -> int:
    """Simulate and print; returns the exit status.

    Raises:
        SettingsError: with every fault of the command line, the settings or the trace.
    """
    faults = list(asked.faults())
    if faults:
        raise SettingsError(faults)
    settings = choose(asked.environment, list(asked.assignments)).settings
    traces = [read_trace(path) for path in asked.traces]
    with progress(console) as bar:
        cases = [_case(asked, settings, trace, bar) for trace in traces]
        if asked.sweep:
            return _sweep(asked, cases, bar)
        return _compare(asked, cases[0], bar, console)


@dataclass(frozen=True)
class Case:
    """One trace, ready to be simulated, and what to say of it."""

    comparison: Comparison
    about: dict[str, object]

    @property
    def title(self) -> str:
        """One line on what was simulated."""
        about = self.about
        return (
            f"{about['trace']} x {about['rate']:g}, {about['instance_type']}, boot {about['boot_seconds']:g} s, "
            f"SLO: {about['slo_attainment']:.0%} of requests with TTFT <= {about['slo_ttft_seconds']:g} s and "
            f"inter-token <= {about['slo_itl_seconds']:g} s"
        )


def _case(asked: Asked, settings: Settings, trace: Trace | RateTrace, bar: Bar) -> Case:
    pool = settings.workers[0]
    boot = boot_of(pool)
    boot = boot if asked.boot is None else replace(boot, cold=asked.boot, warm=min(boot.warm, asked.boot))
    slo = Slo(asked.slo_ttft, asked.slo_itl)
    starts = asked.starts and asked.starts.replace(tzinfo=UTC)
    wanted = Wanted(asked.rate or 1.0, asked.tokens, asked.mode, asked.seed, slo, asked.attainment, boot, starts)
    if asked.peak_workers:
        rate = rate_for(asked.peak_workers, trace, settings, wanted, lambda share: bar.tell("rate", share))
        wanted = replace(wanted, rate=rate)
    comparison = comparison_of(trace, settings, wanted)
    if asked.peak_workers:
        most = max(comparison.plan.max_size, 2 * asked.peak_workers)
        comparison.plan = replace(comparison.plan, max_size=most)
    comparison.progress, comparison.bounded = bar.tell, asked.bounded
    about: dict[str, object] = {
        "trace": trace.name,
        "rate": wanted.rate,
        "tokens": asked.tokens,
        "mode": asked.mode or ("fluid" if isinstance(trace, RateTrace) else "event"),
        "seed": asked.seed,
        "instance_type": pool.instance_type,
        "min_size": comparison.plan.min_size,
        "max_size": comparison.plan.max_size,
        "boot_seconds": round(boot.cold, 1),
        "warm_boot_seconds": round(boot.warm, 1),
        "slo_ttft_seconds": asked.slo_ttft,
        "slo_itl_seconds": asked.slo_itl,
        "slo_attainment": asked.attainment,
        "seconds": comparison.workload.seconds,
    }
    return Case(comparison, about)


def _compare(asked: Asked, case: Case, bar: Bar, console: Console) -> int:
    outcomes = {name: case.comparison.named(name) for name in asked.names}
    bar.stop()
    rows = [outcome.result for outcome in outcomes.values()]
    if asked.bounded:
        case.about["attainable"] = round(case.comparison.bound.ceiling, 6)
    if asked.as_json:
        typer.echo(to_json(rows, **case.about))
    else:
        _print_rows(case, rows)
    if asked.plot:
        _save(asked.plot, case, outcomes)
        console.print(f"Picture: {asked.plot}", soft_wrap=True)
    return 0


def _save(path: Path, case: Case, outcomes: dict[str, Outcome]) -> None:
    try:
        save(path, case.title, outcomes, case.comparison.workload.slo.ttft_seconds)
    except OSError as error:
        fault = Fault("--plot", str(path), f"cannot be written: {error.strerror}", "choose another place")
        raise SettingsError([fault]) from None


def _print_rows(case: Case, rows: list[Result]) -> None:
    console = Console(highlight=False, markup=False)
    console.print(case.title, soft_wrap=True)
    console.print(table(rows))
    if not case.comparison.bounded:
        return
    bound = case.comparison.bound
    if bound.ceiling < case.comparison.workload.attainment:
        console.print(
            f"No fleet of up to {case.comparison.plan.max_size} workers meets this SLO: {bound.ceiling:.1%} is the "
            f"most. The clairvoyant aims at {bound.target:.1%}.",
            soft_wrap=True,
        )


def table(rows: list[Result]) -> Table:
    """The rows for people."""
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("Policy", no_wrap=True)
    heads = ("With", "SLO", "TTFT p90", "ITL p90", "GPU h", "USD", "x best", "Turns", "Lost", "Refused")
    for heading in heads:
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*_cells(row))
    return shown


def _cells(row: Result) -> tuple[str, ...]:
    return (
        row.policy,
        _number(row.parameter, "g"),
        _number(row.slo_attainment, ".1%") + (" " if row.meets_slo else "!"),
        _number(row.ttft_p90, ".2f"),
        _number(row.itl_p90, ".3f"),
        f"{row.gpu_hours:.1f}",
        _number(row.usd, ".2f"),
        _number(row.over_provisioning, ".2f"),
        str(row.oscillations),
        str(row.lost),
        str(row.refused),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _sweep(asked: Asked, cases: list[Case], bar: Bar) -> int:
    comparisons = [case.comparison for case in cases]
    tried = try_all(comparisons, ours(comparisons[0].numbers), lambda share: bar.tell("sweep", share))
    bar.stop()
    chosen = best(tried)
    rows = list(chosen.results)
    if asked.as_json:
        traces = [case.about for case in cases]
        about = {"choice": _choice(chosen), "settings": settings_lines(chosen.choice), "traces": traces}
        typer.echo(to_json(rows, **about))
        return 0
    out = Console(highlight=False, markup=False)
    for case, row in zip(cases, rows, strict=True):
        out.print(case.title, soft_wrap=True)
        out.print(table([row]))
    if len(cases) == 1:
        out.print("\nFrontier (cheapest first):")
        out.print(_frontier(frontier(tried)))
    if chosen.shortfall:
        out.print("\nNo choice meets the SLO on every trace; this one comes nearest:")
    out.print(f"\nUnder [[workers]]:\n\n{settings_lines(chosen.choice)}")
    return 0


def _choice(tried: Tried) -> dict[str, object]:
    choice = tried.choice
    return {"target_prompt_load": choice.parameter, "min_size": choice.min_size, "warm_pool": choice.warm}


def _frontier(found: list[Tried]) -> Table:
    shown = Table(box=None, pad_edge=False)
    for heading in ("target_prompt_load", "min_size", "warm", "SLO", "GPU h", "USD"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for one in found:
        row, choice = one.results[0], one.choice
        cells = (f"{choice.parameter:g}", str(choice.min_size), str(choice.warm), _number(row.slo_attainment, ".1%"))
        shown.add_row(*cells, f"{row.gpu_hours:.2f}", _number(row.usd, ".2f"))
    return shown


class Bar:
    """One progress bar whose text says what is being simulated."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._task = shown.add_task("reading", total=1.0)

    def tell(self, name: str, share: float) -> None:
        """Show how far `name` is."""
        self._shown.update(self._task, description=name, completed=share)

    def stop(self) -> None:
        """Take it away, before results are printed."""
        self._shown.stop()


@contextmanager
def progress(console: Console) -> Iterator[Bar]:
    """A progress bar on standard error; nothing where that is no terminal."""
    columns = (TextColumn("{task.description:14}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        yield Bar(shown)
