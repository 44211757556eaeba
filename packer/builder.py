"""From a target to an image: one build with its folders, its token, its sweep, and the look at what came out."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packer import runner
from packer.errors import BakeInterruptedError, BuildFailedError, Failure
from packer.plan import is_image_of
from packer.progress import PhaseProgress
from packer.staging import BAKE_FILE, StagedFile, staged_files, write_staging
from packer.sweep import Swept, Traces, sweep
from packer.variables import Build, image_name, key_pair_name, variables_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from packer.account import Account
    from packer.image import Image
    from packer.interrupts import Interrupts
    from packer.program import Packer
    from packer.site import BakeSite
    from packer.targets import Target
    from settings.model import Settings

# EC2 may take some seconds to show everywhere what it has just made ("Ensuring idempotency", EC2 API reference).
LOOKS, BETWEEN_LOOKS_SECONDS = 10, 2.0
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file there is never on a disk, and mkstemp gives it to nobody else


@dataclass(frozen=True)
class Baker:
    """What all builds of one bake share."""

    settings: Settings
    site: BakeSite
    account: Account
    repository: Path
    packer: Packer
    cidrs: Sequence[str]
    token: str | None = field(repr=False)
    interrupts: Interrupts
    console: Console

    @property
    def folder(self) -> Path:
        """Where logs, manifests and SBOMs are kept."""
        return (self.site.bake_folder or self.repository / ".bake").absolute()

    def build(self, target: Target) -> Built:
        """Make an image.

        Raises:
            BuildFailedError: it failed; what was left in the account is swept up, or named.
            BakeInterruptedError: likewise.
        """
        moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        log = self.folder / f"{moment}-{target.label}.log"
        output = self.folder / f"{moment}-{target.label}"
        output.mkdir(parents=True, exist_ok=True)
        name = image_name(target, moment)
        with (
            tempfile.TemporaryDirectory(prefix="sglang-fleet-bake-") as work,
            _token_file(self.token if target.recipe.model and target.recipe.model.restricted else None) as token,
            PhaseProgress(self.console, f"{target.label} ({target.key}), log {log}") as progress,
        ):
            build = Build(str(uuid.uuid4()), name, Path(work) / "staging", output, token)
            return self._build(target, build, log, progress)

    def _build(self, target: Target, build: Build, log: Path, progress: PhaseProgress) -> Built:
        self._prepare(target, build)
        run = runner.Run(
            label=target.label,
            packer=self.packer,
            work=build.staging.parent,
            log=log,
            environ=os.environ,
            interrupts=self.interrupts,
            patience=self.site.interrupt_seconds,
            on_phase=progress.phase,
        )
        try:
            run.execute()
            progress.phase("verify", "the image is there, and nothing else")
            image = self._image(target, build, log)
        except BaseException as error:
            self._clean_up(build, run, progress, error)
            raise
        swept = self._sweep(build, run, keep_image=True)
        _tell(swept, log, progress)
        progress.finish()
        return Built(image, progress.seconds, log, build.output / runner.SBOM, swept.clean)

    def _prepare(self, target: Target, build: Build) -> None:
        hub = self.site.hub_url or self.settings.bake.hub_url
        files = staged_files(self.repository, target.recipe)
        files[BAKE_FILE] = StagedFile(target.recipe.describe(target.key, hub))
        write_staging(files, build.staging)
        variables = variables_of(self.settings, self.site, target, build, self.cidrs)
        runner.prepare_work(build.staging.parent, self.repository, self.packer, variables)

    def _image(self, target: Target, build: Build, log: Path) -> Image:
        """The image that the manifest names, once EC2 shows it complete."""
        image_id = runner.image_in(build.output / runner.MANIFEST)
        for look in range(LOOKS if image_id else 0):
            image = self.account.image(image_id or "")
            if image and is_image_of(image, target):
                return image
            if look + 1 < LOOKS:
                time.sleep(BETWEEN_LOOKS_SECONDS)
        said = f"{image_id} is not available with its tags" if image_id else "Packer's manifest names no image"
        raise BuildFailedError(Failure(target.label, "verify", (said,), "bake again", log))

    def _sweep(self, build: Build, run: runner.Run, *, keep_image: bool) -> Swept:
        made = run.transcript.made
        traces = Traces(
            bake_id=build.bake_id,
            key_pairs=frozenset({key_pair_name(build.bake_id), *made["key_pairs"]}),
            security_groups=frozenset(made["security_groups"]),
            instances=frozenset(made["instances"]),
            image_name=None if keep_image else build.image_name,
        )
        return sweep(self.account.ec2, traces, self.site.sweep_seconds)

    def _clean_up(self, build: Build, run: runner.Run, progress: PhaseProgress, error: BaseException) -> None:
        """After a failure: remove what is left, and say so behind the failure's own words."""
        progress.finish("interrupted" if isinstance(error, BakeInterruptedError) else "failed")
        progress.phase("sweep", "what the bake left in the account")
        _tell(self._sweep(build, run, keep_image=False), run.log, progress)
        progress.finish()
        shutil.rmtree(build.output, ignore_errors=True)


@dataclass(frozen=True)
class Built:
    """An image that was made just now. `clean` says that nothing else was left behind."""

    image: Image
    seconds: float
    log: Path
    sbom: Path
    clean: bool


def _tell(swept: Swept, log: Path, progress: PhaseProgress) -> None:
    with log.open("a", encoding="utf-8") as file:
        for line in swept.lines():
            file.write(f"{line}\n")
            if swept.removed or not swept.clean:
                progress.note(f"          {line}")


@contextmanager
def _token_file(token: str | None) -> Iterator[Path | None]:
    """A file with the token that only this user may read, for as long as the build runs."""
    if token is None:
        yield None
        return
    handle, name = tempfile.mkstemp(prefix="hub-token-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(token)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
