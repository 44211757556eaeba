"""The phases of a rehearsal, in order: each shows its progress, times itself and raises when it fails."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal import cloud_process, dashboard, in_service, leftovers, traffic
from rehearsal.cdktf_output import Progress
from rehearsal.cloud_config import EngineConfig
from rehearsal.commands import CommandRunner, StepFailedError
from rehearsal.dashboard_picture import draw
from rehearsal.deployment import cloud_config, expected_workers, models, router_url
from rehearsal.environment import Target, ToolEnvironment, context_json, tool_environment
from rehearsal.in_service import Router
from rehearsal.options import Options
from rehearsal.places import REPOSITORY, WorkFolder
from rehearsal.real_engine import PrepareError, prepare
from rehearsal.report import Phase, Report
from rehearsal.scenarios.catalogue import SCENARIOS
from rehearsal.scenarios.pace import EMULATOR, PACES
from rehearsal.scenarios.runner import Result, play
from rehearsal.scenarios.stage import Stage
from rehearsal.tools import Tools, find_tools, write_terraform_configuration
from rehearsal.view import View
from settings import naming
from settings.model import Settings

if TYPE_CHECKING:
    from rehearsal.bake.preparation import Bakery

SERVING_SECONDS: Mapping[str, float] = {"emulator": 90.0, "sglang": 240.0}
ROUTER_VENV = REPOSITORY / ".cache" / "venvs" / "router"


@dataclass
class Rehearsal:
    """One run. The methods are its phases, in order."""

    options: Options
    settings: Settings
    overrides: Mapping[str, object]
    report: Report
    view: View
    _environment: ToolEnvironment = field(default_factory=ToolEnvironment)
    bakery: Bakery | None = None
    _tools: Tools | None = None
    _configuration: Path = Path()
    _engine: EngineConfig = field(default_factory=EngineConfig)
    _before: frozenset[leftovers.Resource] = frozenset()
    _workers: tuple[str, ...] = ()

    @property
    def work(self) -> WorkFolder:
        """Where it writes."""
        return self.options.work

    @property
    def router(self) -> Router:
        """The router, with the key that clients need."""
        return Router(router_url(self.settings), self._api_key())

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Show a phase while it runs, and report it."""
        with self.report.phase(name) as phase, self.view.phase(phase):
            yield phase

    def prepare(self) -> None:
        """Tools, the environments of the hosts, and a clean work folder.

        Raises:
            MissingToolError: a tool is missing or too old.
            BusyError: another rehearsal runs.
            StepFailedError: an environment cannot be made.
        """
        with self.phase("tools and host environments") as phase:
            stale = cloud_process.claim(self.work)
            clear(self.work)
            tools = self._tools = find_tools(os.environ)
            self._configuration = write_terraform_configuration(self.work, tools, os.environ)
            self._set_environment()
            self._install(phase)
            if self.options.bake:
                self._prepare_bakes(phase)
            self.report.terraform = f"{tools.terraform_name} {tools.terraform_version}"
            phase.detail = self.report.terraform + (f", {len(stale)} stale processes ended" if stale else "")

    def _set_environment(self) -> None:
        """Have the tools work on the settings as they are now."""
        target = Target(self.options.environment, self.settings.region, self.overrides)
        name = self._tools.terraform_name if self._tools is not None else ""
        self._environment = tool_environment(target, self.work.cdktf_output, self._configuration, name)
        self._environment.write(self.work.environment_file)

    def _prepare_bakes(self, phase: Phase) -> None:
        # Not above: they import the hub's client and what bakes with it, which no other rehearsal needs.
        from rehearsal.bake.preparation import prepare_bakery  # noqa: PLC0415
        from rehearsal.bake.requirements import check_all  # noqa: PLC0415

        self.view.say(phase, "what bakes need")
        check_all(os.environ, self.work.root)
        self.bakery = prepare_bakery(self.settings, self.work)

    def _install(self, phase: Phase) -> None:
        self.view.say(phase, "environment of the router host")
        script = str(REPOSITORY / "scripts" / "venv_from_lock.py")
        install = [sys.executable, script, "--compile", "router", str(ROUTER_VENV)]  # its units write no bytecode
        log = self.work.log("install")
        CommandRunner(REPOSITORY, os.environ, str(self.work.root)).run("router environment", install, log)
        if self.options.engine == "sglang":
            try:
                engine = prepare(REPOSITORY / ".cache", lambda line: self.view.say(phase, line))
            except PrepareError as error:
                raise StepFailedError(str(error)) from error
            self._engine = EngineConfig(kind="sglang", program=engine.sglang_bin, model=engine.model_dir)
        elif self.options.scenarios:
            self._engine = EngineConfig(emulator=dict(EMULATOR))

    def start_cloud(self) -> None:
        """Bring up the emulated AWS, with the images that a bake would have left, or with what it takes to bake them.

        Raises:
            StepFailedError: it does not come up.
        """
        with self.phase("emulated AWS") as phase:
            venvs = {"router": ROUTER_VENV, "agent": Path(sys.prefix)}
            config = cloud_config(self.settings, venvs, self._engine)
            if self.bakery is not None:
                config = config.model_copy(update={"images": (), "build": self.bakery.config})
            cloud_process.start(self.work, config, keep=self.options.keep)
            if self.bakery is not None:
                self._bake_here(self.bakery)
            self._before = leftovers.take_inventory(self.settings.region)
            phase.detail = f"{len(config.images)} images, work folder {self.work.root}"

    def _bake_here(self, bakery: Bakery) -> None:
        from rehearsal.bake.scenario import bake_overrides  # noqa: PLC0415 - as in `_prepare_bakes`

        self.overrides = {**self.overrides, **bake_overrides(self.settings.region, bakery)}
        self._set_environment()

    def init(self) -> None:
        """`fleet init`: the state bucket and the API key. It synthesizes every stack on the way.

        Raises:
            StepFailedError: it failed.
        """
        with self.phase("fleet init") as phase:
            command = [sys.executable, "-m", "fleet", "init", "--yes", "--environment", str(self.options.environment)]
            progress = Progress.of([naming.STACK_STATE])

            def on_line(line: str) -> None:
                progress.read(line)
                self.view.stacks(phase, progress)

            self.run("fleet init", [*command, "--output", str(self.work.cdktf_output)], self.work.log("init"), on_line)
            self.report.applied(progress)
            phase.detail = "state bucket, API key"

    def deploy(self) -> None:
        """`cdktf deploy '*'`.

        Raises:
            StepFailedError: it failed.
        """
        with self.phase("cdktf deploy") as phase:
            names = stack_names(self.work.cdktf_output)
            self.report.applied(self._stacks(phase, "deploy", names))
            phase.detail = f"{sum(stack.applied for stack in self.report.stacks.values())} resources"

    def wait(self) -> None:
        """Wait until router and workers are in service.

        Raises:
            StepFailedError: they are not in time.
        """
        with self.phase("router and workers in service") as phase:
            wanted, limit = expected_workers(self.settings), SERVING_SECONDS[self.options.engine]
            self._workers = in_service.wait_until_serving(
                self.router, wanted, limit, lambda text: self.view.say(phase, text)
            )
            phase.detail = f"router {self.router.url}, {len(self._workers)} workers"

    def send(self) -> None:
        """Send completions through the router.

        Raises:
            StepFailedError: one was not complete.
        """
        with self.phase("completions through the router") as phase:
            asks = traffic.plan_requests(models(self.settings), self.options.requests)
            client = traffic.make_client(self.router.url, self.router.api_key)
            self.report.answers = traffic.send_all(
                client, asks, lambda answer: self.view.say(phase, f"{answer.ask.number + 1} of {len(asks)} answered")
            )
            faults = [f"request {a.ask.number}: {a.fault}" for a in self.report.answers if a.fault is not None]
            if faults:
                raise StepFailedError(f"{len(faults)} of {len(asks)} completions failed; the first: {faults[0]}")
            self.report.cache_hit_tokens = in_service.cached_tokens(self._workers)
            streamed, cached = sum(ask.streamed for ask in asks), self.report.cache_hit_tokens
            phase.detail = f"{len(asks)} answered, {streamed} streamed, {cached} prompt tokens from prefix caches"

    def play(self, show: Callable[[Result], None]) -> None:
        """Play the scenarios that were asked for, showing each result; one that fails does not stop the next.

        Raises:
            StepFailedError: a fleet did not come back, so that there is nothing to play on.
        """
        stage: Stage | None = None
        for name in self.options.scenarios:
            with self.phase(f"scenario {name}") as phase:
                stage = replace(stage or self._stage(), say=partial(self.view.say, phase))
                result = play(SCENARIOS[name], stage)
                tally = result.ledger.total
                phase.detail = f"{tally.sent} requests: {tally.complete} complete, {tally.refused} refused, "
                phase.detail += f"{tally.explained} explained, {tally.lost} LOST"
                phase.passed = result.passed
                self.report.scenarios.append(result)
            show(result)

    def show_dashboard(self) -> None:
        """Draw the deployed dashboard after scenarios, and see that everything on it is published."""
        if not self.options.scenarios:
            return
        with self.phase("dashboard") as phase:
            cloudwatch = leftovers.client(leftovers.clients(self.settings.region), "cloudwatch")
            widgets = dashboard.deployed(cloudwatch)
            missing = dashboard.wait_until_published(cloudwatch, widgets, partial(self.view.say, phase))
            until = datetime.now(UTC)
            since = until - timedelta(seconds=self.report.seconds)
            draw(widgets, lambda one: dashboard.courses(cloudwatch, one, since, until), since, until, self.work.picture)
            phase.passed = not missing
            phase.detail = f"{sum(len(one.lines) for one in widgets)} metrics, {len(missing)} never published"
            phase.detail += "".join(f"; {metric}" for metric in sorted(map(str, missing)))
            phase.detail += f"; {self.work.picture}"

    def _stage(self) -> Stage:
        return Stage(
            settings=self.settings,
            work=self.work,
            pace=PACES[self.options.pace],
            apply=self._apply_one,
            why=self._why,
            say=lambda _: None,
            real_engine=self.options.engine == "sglang",
        )

    def _apply_one(self, stack: str, changes: Mapping[str, object]) -> None:
        """`cdktf deploy` of one stack with some settings changed."""
        overrides = {**self.overrides, **changes}
        target = Target(self.options.environment, self.settings.region, overrides)
        variables = {**self._environment.values, "CDKTF_CONTEXT_JSON": context_json(target)}
        runner = CommandRunner(REPOSITORY, ToolEnvironment(variables).over(os.environ), f"{self.work.root}")
        options = ["--auto-approve", "--skip-provider-lock", "--ignore-missing-stack-dependencies", "--no-color"]
        runner.run(f"cdktf deploy {stack}", [*self._cdktf("deploy"), stack, *options], self.work.log("deploy"))

    def _why(self) -> str:
        lines: list[str] = []
        command = [sys.executable, "-m", "fleet", "why", "--json", "--environment", str(self.options.environment)]
        self.run("fleet why", command, self.work.log("why"), lines.append)
        return "".join(lines)

    def destroy(self) -> None:
        """`cdktf destroy '*'`, and the key that `fleet init` made outside Terraform.

        Raises:
            StepFailedError: it failed.
        """
        with self.phase("cdktf destroy") as phase:
            names = stack_names(self.work.cdktf_output)
            self.report.destroyed(self._stacks(phase, "destroy", names))
            if self.settings.api_key_parameter:
                leftovers.delete_parameter(self.settings.region, self.settings.api_key_parameter)
            phase.detail = f"{sum(stack.destroyed for stack in self.report.stacks.values())} resources"

    def check_empty(self) -> None:
        """Nothing may be left: no resource, and after the cloud has stopped, no process.

        Raises:
            StepFailedError: something is left.
        """
        with self.phase("nothing left") as phase:
            self.report.leftovers = leftovers.left_behind(self._before, leftovers.take_inventory(self.settings.region))
            if self.report.leftovers:
                names = ", ".join(str(resource) for resource in self.report.leftovers[:10])
                raise StepFailedError(f"{len(self.report.leftovers)} resources left: {names}")
            in_service.wait_until_off(lambda text: self.view.say(phase, text))
            cloud_process.stop(self.work)
            phase.detail = "0 resources, 0 processes"

    def _api_key(self) -> str | None:
        name = self.settings.api_key_parameter
        return leftovers.read_parameter(self.settings.region, name) if name else None

    def _cdktf(self, verb: str) -> list[str]:
        assert self._tools is not None  # noqa: S101 - `prepare` comes first
        return [str(self._tools.cdktf), verb, "--output", str(self.work.cdktf_output)]

    def _stacks(self, phase: Phase, verb: str, names: tuple[str, ...]) -> Progress:
        progress = Progress.of(names)

        def on_line(line: str) -> None:
            progress.read(line)
            self.view.stacks(phase, progress)

        options = ["*", "--auto-approve", "--skip-synth", "--skip-provider-lock", "--no-color"]
        self.run(f"cdktf {verb}", [*self._cdktf(verb), *options], self.work.log(verb), on_line)
        if progress.unfinished:
            raise StepFailedError(f"cdktf {verb} said nothing of {', '.join(progress.unfinished)}", self.work.log(verb))
        return progress

    def run(self, name: str, command: list[str], log: Path, on_line: Callable[[str], None] = lambda _: None) -> None:
        """Run a command in the tools' environment.

        Raises:
            StepFailedError: it failed.
        """
        runner = CommandRunner(REPOSITORY, self._environment.over(os.environ), str(self.work.root))
        runner.run(name, command, log, on_line)


def stack_names(output: Path) -> tuple[str, ...]:
    """Stacks of a synthesized app."""
    manifest = json.loads((output / "manifest.json").read_text())
    return tuple(manifest["stacks"])


def clear(work: WorkFolder) -> None:
    """Remove what an earlier rehearsal wrote: its cloud is gone, so its state describes nothing."""
    of_bakes = (work.bakery, work.bakes, work.build_hosts, work.images)
    for folder in (work.machines, work.logs, work.cdktf_output, work.provider_mirror, *of_bakes):
        shutil.rmtree(folder, ignore_errors=True)
    for state in work.root.glob("terraform.*.tfstate*"):
        state.unlink()
    work.create()
