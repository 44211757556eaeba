"""The scenario `bake`: images are baked before the deployment, and afterwards looked for on the machines that ran."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from rehearsal import cloud_process, leftovers
from rehearsal.bake.evidence import Comparison, compare, holders, needed_of, read_bill
from rehearsal.bake.fleet_bake import Baked, fleet_bake
from rehearsal.bake.preparation import Bakery, bake_block
from rehearsal.commands import StepFailedError
from rehearsal.emulated_aws.calls import changes_something
from rehearsal.processes import PROC, marked
from rehearsal.scenarios.checks import Check, at_most, checks_table, exactly, holds, told
from user_data.node_config import AGENT_HOME

if TYPE_CHECKING:
    from rehearsal.phases import Rehearsal

NAME, TITLE = "bake", "Packer bakes the images that the deployment then runs from"
SECOND_BAKE_SECONDS = 3.0


@dataclass(frozen=True)
class BakeResult:
    """What the scenario showed."""

    seconds: float
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        checks = [asdict(check) for check in self.checks]
        return {"scenario": NAME, "passed": self.passed, "seconds": round(self.seconds, 1), "checks": checks}

    def show(self) -> RenderableType:
        """For people."""
        return checks_table(NAME, TITLE, self.checks, self.seconds)


def bake_overrides(region: str, bakery: Bakery) -> dict[str, object]:
    """Settings with which bakes happen on this rehearsal's build hosts.

    Raises:
        StepFailedError: the emulated EC2 has no subnet for them.
    """
    ec2 = leftovers.client(leftovers.clients(region), "ec2")
    filters = [{"Name": "cidr-block", "Values": [str(bake_block())]}]
    found = ec2.describe_subnets(Filters=filters)["Subnets"]
    if not found:
        raise StepFailedError(f"the emulated EC2 has no subnet {bake_block()}")
    return {"bake.subnet_id": found[0]["SubnetId"], "bake.hub_token_parameter": bakery.config.token_parameter}


@dataclass
class BakeScenario:
    """The steps, in order; each is a phase of the rehearsal."""

    rehearsal: Rehearsal
    bakery: Bakery
    checks: list[Check] = field(default_factory=list)
    _first: Baked | None = None
    _seconds: float = 0.0

    def bake(self) -> None:
        """`fleet bake`, from nothing.

        Raises:
            StepFailedError: it failed.
        """
        with self.rehearsal.phase("fleet bake") as phase:
            first = self._first = self._bake(lambda line: self.rehearsal.view.say(phase, line.strip()))
            self._seconds += first.seconds
            built = {stack.role: stack.action for stack in first.stacks}
            self.checks.append(exactly("images", {"router": "built", "worker": "built"}, built))
            self.checks.append(holds("90-validate.sh passed", seen=all(map(_validated, self._logs()))))
            phase.detail = ", ".join(f"{stack.stack} {stack.image}" for stack in first.stacks)

    def bake_again(self) -> None:
        """`fleet bake` with nothing changed.

        Raises:
            StepFailedError: it failed.
        """
        with self.rehearsal.phase("fleet bake, again") as phase:
            before = cloud_process.calls()
            again = self._bake(lambda _: None)
            calls = {name: count - before.get(name, 0) for name, count in cloud_process.calls().items()}
            changing = sorted(name for name, count in calls.items() if count and changes_something(name))
            self._seconds += again.seconds
            self.checks += [
                exactly("images built by a second bake", [], [s.stack for s in again.stacks if s.action != "reused"]),
                exactly("its AWS calls that change something", [], changing),
                # The clock on the wall says how busy this computer is; what the command itself takes is what it uses.
                at_most("its processor time", SECOND_BAKE_SECONDS, again.processor_seconds),
                told("its time", f"{again.seconds:.1f} s, {sum(calls.values())} AWS calls"),
            ]
            phase.detail = f"nothing to do, {again.processor_seconds:.1f} s of a processor"

    def _bake(self, on_line: Callable[[str], None]) -> Baked:
        rehearsal = self.rehearsal
        environment = rehearsal.options.environment
        return fleet_bake(rehearsal.run, self.bakery.site, environment, rehearsal.work.log("bake"), on_line)

    @property
    def first(self) -> Baked:
        """What the first bake made."""
        if self._first is None:
            raise StepFailedError("nothing was baked")
        return self._first

    def _logs(self) -> Iterator[Path]:
        return (stack.log for stack in self.first.stacks if stack.log is not None)

    def look(self) -> BakeResult:
        """Compare the running machines with their images, look for the token, read the lists of what is on the images.

        Raises:
            StepFailedError: the emulated cloud does not answer.
        """
        with self.rehearsal.phase("what was baked, and what runs") as phase:
            begun = time.monotonic()
            self.checks += [*self._machine_checks(), self._token_check(), *self._bill_checks()]
            self._seconds += time.monotonic() - begun
            result = BakeResult(self._seconds, tuple(self.checks))
            phase.passed = result.passed
            phase.detail = f"{sum(check.passed for check in result.checks)} of {len(result.checks)} checks passed"
            return result

    def _machine_checks(self) -> Iterator[Check]:
        images = self._images_of_machines()
        baked = {stack.image for stack in self.first.stacks}
        seen: dict[Path, Comparison] = {}
        for machine in cloud_process.machines():
            content = self.rehearsal.work.images / images[machine["id"]]
            seen[Path(machine["root"])] = compare(content, Path(machine["root"]))
        different = sorted({name for comparison in seen.values() for name in comparison.different})
        yield exactly("images of the machines", sorted(baked), sorted(set(images.values())))
        yield exactly("their files that differ from the image", [], different[:5])
        yield told("files compared", ", ".join(str(comparison.equal) for comparison in seen.values()))
        yield exactly("machines whose programs run from the image", len(seen), sum(map(_runs_from_image, seen)))

    def _images_of_machines(self) -> dict[str, str]:
        ec2 = leftovers.client(leftovers.clients(self.rehearsal.settings.region), "ec2")
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        pages = ec2.get_paginator("describe_instances").paginate(Filters=running)
        instances = (one for page in pages for group in page["Reservations"] for one in group["Instances"])
        return {instance["InstanceId"]: instance["ImageId"] for instance in instances}

    def _token_check(self) -> Check:
        work = self.rehearsal.work
        places = [work.images, work.machines, work.bakes]
        found = [str(path.relative_to(work.root)) for path in holders(places, self.bakery.token)]
        return exactly("files of images, machines and bakes with the hub's token", [], found)

    def _bill_checks(self) -> Iterator[Check]:
        for stack in self.first.stacks:
            if stack.sbom is None:
                continue
            bill = read_bill(stack.sbom)
            wanted = needed_of(self.bakery.model) if stack.role == "worker" else {}
            yield exactly(f"{stack.role}: packages listed without version or hash", [], list(bill.incomplete))
            other = sorted(name for name, _ in wanted.items() ^ bill.model_files.items())
            yield exactly(f"{stack.role}: model files listed otherwise than the hub has them", [], other)
            yield told(f"{stack.role}: listed", f"{bill.packages} packages, {len(bill.model_files)} model files")

    def prune(self) -> None:
        """Forget the images, and have `fleet images prune` delete them: nothing uses them any more.

        Raises:
            StepFailedError: it failed.
        """
        with self.rehearsal.phase("fleet images prune") as phase:
            for parameter in {stack.parameter for stack in self.first.stacks}:
                leftovers.delete_parameter(self.rehearsal.settings.region, parameter)
            command = [sys.executable, "-m", "fleet", "images", "prune", "--keep", "0", "--yes"]
            environment = ["--environment", str(self.rehearsal.options.environment)]
            self.rehearsal.run("fleet images prune", [*command, *environment], self.rehearsal.work.log("prune"))
            phase.detail = f"{len({stack.image for stack in self.first.stacks})} images"


def _validated(log: Path) -> bool:
    """Whether the last provision script ran, and told of no failed check."""
    _, begun, told_then = log.read_text(errors="replace").partition("PHASE validate")
    return bool(begun) and "FAILED" not in told_then


def _runs_from_image(root: Path) -> bool:
    """Whether a machine's programs run with the Python that is on its image."""
    python = f"{root}{AGENT_HOME}/venv/bin/python"
    commands = [(PROC / str(pid) / "cmdline").read_bytes() for pid in marked("SGLANG_FLEET_ROOT", str(root))]
    return any(command.split(b"\0")[0].decode() == python for command in commands)
