"""One run of Packer: its work folder, its variables, its output, and how it ended."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from packer.errors import BakeInterruptedError, BuildFailedError, Failure
from packer.program import quiet_environment
from packer.remedies import remedy_for
from packer.staging import PLUGINS_FILE, template_files
from packer.transcript import Phase, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from packer.interrupts import Interrupts
    from packer.program import Packer

VARIABLES_FILE: Final = "bake.pkrvars.json"
MANIFEST: Final = "packer-manifest.json"
SBOM: Final = "sbom.cdx.json"


@dataclass(frozen=True)
class Run:
    """What a run is called, where its files are, and who is told of its phases."""

    label: str
    packer: Packer
    work: Path
    log: Path
    environ: Mapping[str, str]
    interrupts: Interrupts
    patience: float
    on_phase: Callable[[str, str], None]
    transcript: Transcript = field(default_factory=Transcript)

    def execute(self) -> None:
        """Fetch the plugin where Packer needs one, validate, build.

        Raises:
            BuildFailedError: a step failed.
            BakeInterruptedError: somebody ended it.
        """
        variables, folder = f"-var-file={self.work / VARIABLES_FILE}", str(self.work)
        if self.packer.takes_plugins:
            self._step(Phase("init", "Packer's plugin for EC2"), ["init", folder])
        self._step(Phase("validate", "template and variables"), ["validate", variables, folder])
        self._step(Phase("start", "Packer"), ["build", "-color=false", "-timestamp-ui", variables, folder])

    def _step(self, phase: Phase, arguments: Sequence[str]) -> None:
        transcript = self.transcript
        transcript.phase = phase
        transcript.last.clear()
        self.on_phase(phase.name, phase.what)
        with self.log.open("a", encoding="utf-8") as log:
            code = self._follow([str(self.packer.path), *arguments], log)
        if self.interrupts.requested:
            raise BakeInterruptedError(f"bake of {self.label}: interrupted in phase {transcript.phase.name}")
        if code:
            last = tuple(transcript.last) or (f"packer {arguments[0]} ended with {code} and said nothing",)
            raise BuildFailedError(Failure(self.label, transcript.phase.name, last, remedy_for(last), self.log))

    def _follow(self, command: Sequence[str], log: TextIO) -> int:
        log.write(f"$ {shlex.join(command)}\n")
        process = subprocess.Popen(
            command,
            cwd=self.work,  # where a Packer that crashes leaves its crash.log
            env=quiet_environment(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        with process, self.interrupts.passed_to(process, self.patience):
            for line in process.stdout or ():
                log.write(line)
                log.flush()
                self._take(line)
        return process.returncode

    def _take(self, line: str) -> None:
        begun = self.transcript.feed(line)
        if self.interrupts.requested and not self.transcript.interrupted:
            self.transcript.interrupted = True
            self.on_phase("end", f"interrupted; Packer takes away what it made, at most {self.patience:.0f} s")
        elif begun and not self.transcript.interrupted:
            self.on_phase(begun.name, begun.what)


def prepare_work(work: Path, repository: Path, packer: Packer, variables: Mapping[str, object]) -> None:
    """Fill a work folder: the template, without what an old Packer cannot read, and the variables."""
    for path in template_files(repository):
        if packer.takes_plugins or path.name != PLUGINS_FILE:
            shutil.copyfile(path, work / path.name)
    # 0600: it holds no secret, but the account's layout is nobody else's business.
    handle = os.open(work / VARIABLES_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(variables, file, indent=1, sort_keys=True)


def image_in(manifest: Path) -> str | None:
    """The image id in Packer's manifest: the artifact of its last run is `region:ami-…`."""
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))
        builds = [build for build in told["builds"] if build.get("packer_run_uuid") == told.get("last_run_uuid")]
        return str(builds[-1]["artifact_id"]).rpartition(":")[2]
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
