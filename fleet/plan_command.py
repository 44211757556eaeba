"""`fleet plan`: what an apply would do and mean, to be read before it. Changes nothing."""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import boto3
import typer
from botocore.config import Config
from rich.console import Console

from fleet.aws_errors import BAD_INPUT, explained_look
from fleet.options import DEFAULT_OUTPUT, EnvironmentOption, OutputOption, SetOption, choose
from fleet.plan_sections import load_of, logged_boots, of_plans, of_settings
from plans.as_json import as_json
from plans.checkov import find_checkov, scan
from plans.live import Order, Planned, plan_all
from plans.markdown import markdown
from plans.policy import findings, policy_section
from plans.preflight import Account, preflight, preflight_section, skipped
from plans.saved import read_files
from plans.scratch import copy_stacks
from plans.section_boot import Logged
from plans.states import read_states
from plans.summary import Summary, UnknownStackError, summarize
from plans.terminal import terminal
from plans.terraform import Terraform, TerraformError
from plans.terraform_json import BadPlanError
from rehearsal.tools import find_terraform
from settings.naming import STACK_ROUTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from plans.sections import Problem, Section
    from plans.states import States
    from settings.model import Settings

# One answer in seconds when there is no network, instead of botocore's minutes.
PATIENCE = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 2})
PIPE_COLUMNS = 120  # of a pager or a file, which tells no width

FromOption = Annotated[
    list[Path] | None,
    typer.Option("--from", metavar="FILE", help="Review saved plans instead: FILE…, as `plan -out` or `show -json`."),
]
FilesArgument = Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="More files after --from.")]
LoadOption = Annotated[
    Path | None, typer.Option("--load", help="A `fleet simulate --json`: what a million tokens cost at its load.")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow-replace", metavar="STACK", help="Take what is destructive in a stack; repeatable."),
]


@dataclass(frozen=True)
class _Wish:
    """What the command line asks for."""

    order: Order
    allowed: tuple[str, ...]
    output: Path
    kept: Path | None
    load: Path | None


@explained_look
def plan(  # noqa: PLR0913, PLR0917 - one parameter per option of the command
    files: FilesArgument = None,
    environment: EnvironmentOption = None,
    overrides: SetOption = None,
    output: OutputOption = DEFAULT_OUTPUT,
    saved: FromOption = None,
    allowed: AllowOption = None,
    load: LoadOption = None,
    kept: Annotated[Path | None, typer.Option("--save", help="Keep each stack's plan here, for --from.")] = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan the end of the deployment.")] = False,
    with_state: Annotated[bool, typer.Option("--with-state", help="With --destroy: of the state bucket too.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")] = False,
    json_wanted: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Say what an apply would do, and what that means. Changes nothing and takes no lock.

    Exit status: 0 no changes, 2 bad input, 3 changes, 4 needs attention.
    """
    _check_options(files, saved, as_markdown and json_wanted, with_state and not destroy)
    if load and (saved or destroy):
        _bad("--load: needs the settings of what is planned; not with --from or --destroy")
    wish = _Wish(Order(destroy, with_state), tuple(allowed or ()), output, kept, load)
    try:
        if saved:
            summary = _of_files((*saved, *(files or ())), wish)
        else:
            summary = _of_deployment(choose(environment, overrides).settings, wish)
    except (BadPlanError, TerraformError, UnknownStackError) as error:
        _bad(str(error))
    _show(summary, as_markdown=as_markdown, json_wanted=json_wanted)
    raise typer.Exit(int(summary.exit_code))


def _check_options(
    files: Sequence[Path] | None, saved: Sequence[Path] | None, both_formats: bool, state_alone: bool
) -> None:
    if files and not saved:
        _bad(f"{files[0]}: put --from before the plan files")
    if both_formats:
        _bad("--markdown and --json: choose one")
    if state_alone:
        _bad("--with-state: only with --destroy")


def _of_files(files: Sequence[Path], wish: _Wish) -> Summary:
    plans = read_files(files, lambda: _terraform(os.environ))
    asked = skipped("saved plans are read without an account")
    sections = (*of_plans(plans), asked, policy_section(findings(plans)))
    notes = ("from saved plan files: fit and boot are told only with the settings",)
    return summarize(plans, allowed=wish.allowed, sections=sections, notes=notes)


def _of_deployment(settings: Settings, wish: _Wish) -> Summary:
    load = load_of(settings, wish.load)
    terraform = _terraform(os.environ)
    boto3.client("sts", region_name=settings.region, config=PATIENCE).get_caller_identity()
    local = wish.output.resolve().parent / f"terraform.{settings.name}.state.tfstate"
    s3 = boto3.client("s3", region_name=settings.region, config=PATIENCE)
    states = read_states(s3, settings, local)
    with tempfile.TemporaryDirectory(prefix="fleet-plan-") as folder, _saying() as say:
        scratch = Path(folder)
        say("synth")
        _synth(settings, scratch / "synthesized")
        copies = copy_stacks(scratch / "synthesized", scratch / "stacks", states)
        planned, checks, logged = _review(
            settings,
            states,
            wish,
            scratch / "synthesized",
            lambda: plan_all(terraform, copies, states, wish.order, say),
        )
    if wish.kept:
        _keep(wish.kept, planned.documents)
    told = of_plans(planned.plans) if wish.order.destroy else of_settings(settings, planned.plans, logged, load)
    return summarize(planned.plans, allowed=wish.allowed, sections=(*told, *checks), notes=planned.notes)


def _review(
    settings: Settings, states: States, wish: _Wish, synthesized: Path, make: Callable[[], Planned]
) -> tuple[Planned, tuple[Section, ...], Logged]:
    """Make the plans, and ask beside Terraform what takes less than it does, so that it adds nothing to the time."""
    # Made here: boto3 does not promise that two threads can make clients at once.
    logs = boto3.client("logs", region_name=settings.region, config=PATIENCE)
    with ThreadPoolExecutor(3) as beside:
        scanned = beside.submit(_checkov, synthesized)
        asked = beside.submit(_preflight, settings, states, wish)
        logged = None if wish.order.destroy else beside.submit(logged_boots, settings, logs)
        planned = make()
        found = findings(planned.plans, [str(block) for block in settings.access.allowed_cidrs])
        checks = (asked.result(), policy_section(found, *scanned.result()))
        return planned, checks, logged.result() if logged else Logged()


def _preflight(settings: Settings, states: States, wish: _Wish) -> Section:
    if wish.order.destroy:
        return skipped("a destroy launches nothing")
    return preflight_section(preflight(settings, _account(settings), router_is_there=states.deployed(STACK_ROUTER)))


def _checkov(synthesized: Path) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    program = find_checkov(os.environ)
    if program is None:
        return (), ("checkov is not installed (`make setup-all`): only the own rules count",)
    return scan(program, synthesized, os.environ)


def _account(settings: Settings) -> Account:
    region = settings.region
    return Account(
        ec2=boto3.client("ec2", region_name=region, config=PATIENCE),
        iam=boto3.client("iam", region_name=region, config=PATIENCE),
        quotas=boto3.client("service-quotas", region_name=region, config=PATIENCE),
        secrets=boto3.client("secretsmanager", region_name=region, config=PATIENCE),
        ssm=boto3.client("ssm", region_name=region, config=PATIENCE),
    )


def _keep(folder: Path, documents: Sequence[tuple[str, bytes]]) -> None:
    """Write plans that `--from` reads; only for the operator's eyes, since a plan shows more than a summary."""
    folder.mkdir(parents=True, exist_ok=True)
    for stack, document in documents:
        file = folder / f"{stack}.json"
        file.touch(mode=0o600)
        file.write_bytes(document)


def _terraform(environment: Mapping[str, str]) -> Terraform:
    return Terraform.of(find_terraform(environment)[0], environment)


def _synth(settings: Settings, folder: Path) -> None:
    os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")
    # Imported here: bad input is reported in a fraction of the seconds that this takes.
    from cdktf import App  # noqa: PLC0415

    from stacks.app import build_app  # noqa: PLC0415

    app = App(outdir=str(folder))
    build_app(app, settings)
    app.synth()


@contextmanager
def _saying() -> Iterator[Callable[[str], None]]:
    """A line on standard error that tells what is going on; none where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    with Console(stderr=True).status("") as status:
        yield status.update


def _show(summary: Summary, *, as_markdown: bool, json_wanted: bool) -> None:
    if json_wanted:
        sys.stdout.write(as_json(summary) + "\n")
    elif as_markdown:
        sys.stdout.write(markdown(summary))
    else:
        Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(terminal(summary))


def _bad(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201 - plain lines, so that a shell can read them
    raise typer.Exit(BAD_INPUT)
