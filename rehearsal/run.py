"""The rehearsal: from nothing to a served completion and back to nothing, on an emulated AWS."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from rehearsal import cloud_process
from rehearsal.cloud_process import BusyError
from rehearsal.commands import CommandRunner, StepFailedError
from rehearsal.deployment import NotLoopbackError, check_addresses, rehearsal_overrides, scenario_overrides
from rehearsal.options import Options
from rehearsal.phases import Rehearsal, clear
from rehearsal.places import REPOSITORY, WorkFolder
from rehearsal.report import Report
from rehearsal.scenarios.pace import PACES
from rehearsal.tools import MissingToolError
from rehearsal.view import View
from settings.errors import SettingsError
from settings.load import load_settings

if TYPE_CHECKING:
    from rehearsal.bake.scenario import BakeResult, BakeScenario

PASSED, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def rehearse(options: Options, console: Console) -> int:
    """Run a rehearsal from nothing to nothing, showing it on `console` (and the result as JSON on standard output).

    Returns:
        0 passed, 1 failed, 2 bad settings or a missing tool, 130 interrupted; in every case nothing is left running,
        unless it was to be kept.
    """
    try:
        rehearsal = _new(options, console)
    except (SettingsError, NotLoopbackError) as error:
        console.print(str(error), markup=False, highlight=False)
        return BAD_INPUT
    with _interruptible():
        try:
            status = _steps(rehearsal, console)
        except (MissingToolError, BusyError) as error:
            console.print(str(error), style="red", markup=False, highlight=False)
            return BAD_INPUT
        except KeyboardInterrupt:
            _clean_up(options.work, console)
            console.print("interrupted; everything the rehearsal started has ended")
            return INTERRUPTED
    _show(rehearsal, console)
    return status


def _new(options: Options, console: Console) -> Rehearsal:
    pools = len(load_settings(options.environment, options.overrides).workers)
    needed = rehearsal_overrides(options.engine, options.workers, pools)
    if options.scenarios:
        needed |= scenario_overrides(PACES[options.pace])
    overrides = {**needed, **options.overrides}
    settings = load_settings(options.environment, overrides)
    check_addresses(settings)
    return Rehearsal(options, settings, overrides, Report(options.engine), View(console))


def _steps(rehearsal: Rehearsal, console: Console) -> int:
    """All phases; a failure is shown with the end of its log, and everything is ended unless it is to be kept."""
    try:
        rehearsal.prepare()
        rehearsal.start_cloud()
        bakes = _bakes(rehearsal)
        rehearsal.init()
        rehearsal.deploy()
        rehearsal.wait()
        rehearsal.send()
        if bakes is not None:
            _report(bakes.look(), rehearsal, console)
        rehearsal.play(lambda result: console.print(result.show()))
        rehearsal.show_dashboard()
        if rehearsal.options.keep:
            _show_kept(rehearsal, console)
            return PASSED if rehearsal.report.passed else FAILED
        rehearsal.destroy()
        if bakes is not None:
            bakes.prune()
        rehearsal.check_empty()
    except StepFailedError as error:
        _show_failure(console, error)
        if rehearsal.options.keep:
            console.print("left as it is, to be looked at; stop it with `fleet rehearse --down`")
        else:
            _clean_up(rehearsal.work, console)
        return FAILED
    return PASSED if rehearsal.report.passed else FAILED


def _bakes(rehearsal: Rehearsal) -> BakeScenario | None:
    """The scenario `bake`, when it is played, with its images baked.

    Raises:
        StepFailedError: a bake failed.
    """
    if rehearsal.bakery is None:
        return None
    from rehearsal.bake.scenario import BakeScenario  # noqa: PLC0415 - imports the hub's client

    bakes = BakeScenario(rehearsal, rehearsal.bakery)
    bakes.bake()
    bakes.bake_again()
    return bakes


def _report(result: BakeResult, rehearsal: Rehearsal, console: Console) -> None:
    rehearsal.report.scenarios.append(result)
    console.print(result.show())


def _show_failure(console: Console, error: StepFailedError) -> None:
    if error.log is not None:
        console.print(error.tail, markup=False, highlight=False, style="dim")
        console.print(f"(end of {error.log})", markup=False, highlight=False)
    console.print(f"✗ {error}", style="bold red", markup=False, highlight=False)


def _show_kept(rehearsal: Rehearsal, console: Console) -> None:
    say = console.print
    say(
        f"router:   {rehearsal.router.url}/v1 (the key: SSM parameter {rehearsal.settings.api_key_parameter})",
        highlight=False,
    )
    say(f"machines: {rehearsal.work.machines}", highlight=False)
    say(f"by hand:  . {rehearsal.work.environment_file}, then cdktf diff, terraform plan, …", highlight=False)
    say("stop:     fleet rehearse --down", highlight=False)


def _show(rehearsal: Rehearsal, console: Console) -> None:
    console.print(rehearsal.report.table())
    if rehearsal.options.as_json:
        sys.stdout.write(rehearsal.report.as_json() + "\n")


def _clean_up(work: WorkFolder, console: Console) -> None:
    """End everything. A second ctrl-C does not stop this; it takes seconds."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        CommandRunner(REPOSITORY, os.environ, str(work.root)).clean_up()
        cloud_process.stop(work)
    except StepFailedError as error:
        console.print(f"while cleaning up: {error}", style="red", markup=False)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends a rehearsal as ctrl-C does: with everything it started.

    Ctrl-C is set, too: a shell starts what it puts into the background with SIGINT ignored.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def down(options: Options, console: Console) -> int:
    """Stop a rehearsal that was kept.

    Returns:
        0 when nothing runs any more.
    """
    running = cloud_process.find_running()
    work = WorkFolder(running.work) if running is not None else options.work
    try:
        cloud_process.stop(work)
    except StepFailedError as error:
        console.print(f"{error}; they have been killed", style="yellow", markup=False)
    clear(work)
    console.print("stopped: no machine, no process, no state is left" if running else "no rehearsal was running")
    return PASSED
