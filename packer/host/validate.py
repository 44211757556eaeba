"""`python3 -m host.validate`: is this an image that a fleet can be made from? Every fault is told, then it fails.

It fails the image, where a person is looking, and not the fleet.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from . import leaks, model
from .facts import BAKE_FILE, ENGINE_FROM_LOCK, MODELS_DIRECTORY, Bake, load_bake
from .findings import Failure
from .programs import agent, engine, files
from .report import gib

LEAST_FREE: Final = 0.10
HISTORY: Final = (".*_history", ".*history", ".lesshst", ".wget-hsts", ".viminfo", ".python_history")

Check = Callable[[], Iterator[Failure]]


def checks(bake: Bake, engine_install: str, key_pair: str, root: Path = Path("/")) -> dict[str, Check]:
    """Everything that is looked at, by name."""
    written = BAKE_FILE.stat().st_ctime if BAKE_FILE.exists() else 0.0
    for_workers: dict[str, Check] = {
        "engine": lambda: engine(bake, from_lock=engine_install == ENGINE_FROM_LOCK),
        "model": lambda: model_files(bake, MODELS_DIRECTORY),
    }
    for_all: dict[str, Check] = {
        "on-host programs": lambda: files(bake, root),
        "agent": lambda: agent(bake, MODELS_DIRECTORY),
        "SSH keys": lambda: ssh_keys(root, key_pair),
        "shell history": lambda: histories(root),
        "secrets": lambda: secrets_in(bake, written),
        "free disk": lambda: free_disk(root),
    }
    return {**(for_workers if bake.is_worker else {}), **for_all}


def model_files(bake: Bake, models: Path) -> Iterator[Failure]:
    """The model is complete and unchanged since its download."""
    if bake.model is None:
        yield Failure("model", "bake.json names none", "run fleet bake again")
        return
    for wrong in model.check_files(bake.model, model.folder_of(bake.model, models)).wrong:
        yield Failure(f"model file {wrong.path}", wrong.found, "bake again")


def _homes(root: Path) -> list[Path]:
    homes = root / "home"
    return [root / "root", *(sorted(path for path in homes.iterdir() if path.is_dir()) if homes.is_dir() else [])]


def ssh_keys(root: Path, key_pair: str) -> Iterator[Failure]:
    """No host key, and nobody's key but the one that Packer is logged in with at this moment.

    EC2 ends that line with the key pair's name. Packer takes it out in its last step (ssh_clear_authorized_keys), by
    the same ending: it cannot be gone yet, because this program runs through it.
    """
    for path in sorted((root / "etc/ssh").glob("ssh_host_*")):
        yield Failure(f"SSH host key {path}", "still there", "85-clean.sh must remove it: hosts would share it")
    for path in (path for home in _homes(root) for path in sorted((home / ".ssh").glob("authorized_keys*"))):
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip() and line[0] != "#"]
        foreign = [line for line in lines if not line.rstrip().endswith(f" {key_pair}")]
        if foreign:
            owner = foreign[0].split()[-1]
            yield Failure(
                f"authorized keys in {path}", f"{len(foreign)} of somebody else ({owner})", "use a base image without"
            )


def histories(root: Path) -> Iterator[Failure]:
    """Nobody's commands are left."""
    for path in sorted({path for home in _homes(root) for pattern in HISTORY for path in home.glob(pattern)}):
        yield Failure(f"shell history {path}", "still there", "85-clean.sh must remove it")


def secrets_in(bake: Bake, since: float) -> Iterator[Failure]:
    """Nothing that looks like a secret in what the bake has written; the model's files were compared with the hub."""
    skip = leaks.files_of_packages() | ({model.folder_of(bake.model)} if bake.model else set())
    for path in leaks.written_since(since, leaks.ROOTS, skip):
        for kind in leaks.kinds_of_secret(path):
            yield Failure(str(path), f"looks like {kind}", "find out which step wrote it, and revoke the secret")


def free_disk(root: Path) -> Iterator[Failure]:
    """Hosts need room for logs and compile caches."""
    usage = shutil.disk_usage(root)
    if usage.free < LEAST_FREE * usage.total:
        found = (
            f"{gib(usage.free)} of {gib(usage.total)} are free on the root volume, less than {100 * LEAST_FREE:.0f} %"
        )
        yield Failure("free disk", found, "raise volume.size_gib (of the pool, or of the router) and bake again")


def main() -> int:
    """Run every check; 1 when one failed."""
    chosen = checks(load_bake(), os.environ.get("ENGINE_INSTALL", ENGINE_FROM_LOCK), os.environ["BAKE_KEY_PAIR"])
    failures = []
    for name, check in chosen.items():
        found = list(check())
        print(f"{'FAILED' if found else 'ok':<6} {name}", flush=True)
        failures.extend(found)
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures:
        print(
            f"ERROR validate: {len(failures)} of the image's checks failed (above); {failures[0].remedy}",
            file=sys.stderr,
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
