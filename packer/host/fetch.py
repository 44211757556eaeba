"""`python -m host.fetch`: bring the model's files onto the image, exactly those of its commit, and check each.

Runs in an environment that holds huggingface_hub, as the only program that ever knows the hub's token: it reads it from
memory (/dev/shm), removes it there, hands it to the client as an argument, and looks for it on the disk at the end.
"""

from __future__ import annotations

import glob
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download

from . import hub_faults, leaks, model
from .facts import BAKE_DIRECTORY, MODELS_DIRECTORY, Bake, Model, load_bake
from .report import Fault, StepError, gib, run_step, say

PHASE: Final = "model"
TOKEN_FILE: Final = Path("/dev/shm/hub-token")  # noqa: S108 - memory, not disk: that is the point
# The client itself resumes a cut download five times, and asks a silent or busy hub for about half a minute.
WAITS_SECONDS: Final = (5.0,)
PROGRESS_SECONDS: Final = 10.0
# Where the client would keep what it knows of files it has; no host needs it, and it holds times.
CLIENT_FOLDER: Final = ".cache"

Download = Callable[[Bake, Model, Path, str | None], None]


def download(bake: Bake, wanted: Model, folder: Path, token: str | None) -> None:
    """Let the hub's client fetch what is not there yet."""
    snapshot_download(
        wanted.id,
        revision=wanted.revision,
        local_dir=folder,
        cache_dir=BAKE_DIRECTORY / "hub-cache",
        allow_patterns=[glob.escape(file.path) for file in wanted.files],
        endpoint=bake.hub_url,
        token=token or False,  # None would let it look for somebody's saved token
    )


def take_token(path: Path = TOKEN_FILE) -> str | None:
    """Read the token and remove its file."""
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        return None
    path.unlink()
    return token or None


def fetch(bake: Bake, wanted: Model, models: Path, token: str | None, get: Download = download) -> None:
    """Fetch, check, and fetch once more what arrived spoilt; then write the manifest.

    Raises:
        StepError: the hub refuses, the line or the disk does not suffice, or a file is not the commit's.
    """
    folder = model.folder_of(wanted, models)
    folder.mkdir(parents=True, exist_ok=True)
    check_space(wanted, folder)
    for attempt in (1, 2):
        with progress(wanted, folder):
            _get_patiently(bake, wanted, folder, token, get)
        shutil.rmtree(folder / CLIENT_FOLDER, ignore_errors=True)
        say(f"{wanted.id}: checking {len(wanted.files)} files")
        checked = model.check_files(wanted, folder)
        if not checked.wrong:
            model.write_manifest(wanted, folder, checked.sha256)
            make_readable(folder)
            return
        for wrong in checked.wrong:
            say(f"{wanted.id}: {wrong.path}: {wrong.found} (try {attempt} of 2)")
            if wrong.is_spoilt:
                (folder / wrong.path).unlink()
    raise StepError(_not_the_commits(bake, wanted, checked.wrong))


def _not_the_commits(bake: Bake, wanted: Model, wrong: tuple[model.Wrong, ...]) -> Fault:
    named = ", ".join(f"{file.path}: {file.found}" for file in wrong[:3])
    more = f", {len(wrong) - 3} more" if len(wrong) > 3 else ""  # noqa: PLR2004 - the first three
    sentence = f"{bake.hub_url} delivered files of {wanted.id} that are not those of its commit ({named}{more})"
    return Fault(sentence, "bake again; if it stays, a cache between bake host and hub, or the hub, is broken")


def _get_patiently(bake: Bake, wanted: Model, folder: Path, token: str | None, get: Download) -> None:
    for wait in (*WAITS_SECONDS, None):
        try:
            get(bake, wanted, folder, token)
        except Exception as error:  # whatever a dozen layers below the client raise ends the bake
            if wait is None or hub_faults.is_no_space(error) or not hub_faults.is_transient(error):
                fault = hub_faults.explain(error, bake, wanted, has_token=token is not None)
                raise StepError(fault) from error
            say(f"{wanted.id}: {type(error).__name__}; trying again in {wait:.0f} s")
            time.sleep(wait)
        else:
            return


def check_space(wanted: Model, folder: Path) -> None:
    """Refuse before hours of download what cannot fit.

    Raises:
        StepError: the disk is too small.
    """
    missing = wanted.size - _present(wanted, folder)
    free = shutil.disk_usage(folder).free
    if missing > free:
        sentence = f"no space for {wanted.id}: {gib(missing)} are to come and {folder} has {gib(free)} free"
        raise StepError(Fault(sentence, "raise model_volume.size_gib of the pool and bake again"))


def _present(wanted: Model, folder: Path) -> int:
    paths = (folder / file.path for file in wanted.files)
    return sum(path.stat().st_size for path in paths if path.is_file())


def _on_disk(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # the client has renamed it meanwhile
            continue
    return total


@contextmanager
def progress(wanted: Model, folder: Path) -> Iterator[None]:
    """Say every few seconds how much is there."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(PROGRESS_SECONDS):
            say(f"{wanted.id}: {gib(_on_disk(folder))} of {gib(wanted.size)}")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def make_readable(folder: Path) -> None:
    """Weights are read by the service's user and written by nobody."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def check_token_left_nothing(token: str, since: float, roots: tuple[Path, ...], trusted: Path) -> None:
    """Look for the token in every file that was written since `since`, except the model's checked files.

    Raises:
        StepError: it is somewhere.
    """
    found = [path for path in leaks.written_since(since, roots, skip=(trusted,)) if leaks.holds(path, token)]
    if found:
        sentence = f"the hub's token was written to {', '.join(map(str, found))}"
        raise StepError(Fault(sentence, "revoke it at the hub, and report this as a defect of the bake"))


def step() -> None:
    """Do all of it, by the environment's variables.

    Raises:
        StepError: the image cannot be made.
    """
    begun = time.time()
    token = take_token()
    bake = load_bake()
    if bake.model is None:
        raise StepError(Fault("bake.json names no model", "run fleet bake again: a worker's image has one"))
    fetch(bake, bake.model, MODELS_DIRECTORY, token)
    if token is not None:
        trusted = model.folder_of(bake.model)
        check_token_left_nothing(token, begun, leaks.ROOTS, trusted)
    say(f"{bake.model.id}: {len(bake.model.files)} files, {gib(bake.model.size)}, as in commit {bake.model.revision}")


if __name__ == "__main__":
    sys.exit(run_step(PHASE, step))
