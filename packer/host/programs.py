"""Do the image's programs start? They are run as the services' user, as systemd will run them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .facts import AGENT_HOME, ENGINE_HOME, SERVICE_USER, Bake
from .findings import Failure

SAMPLES: Final = Path(__file__).parent / "sample"
ENGINE: Final = ENGINE_HOME / "venv/bin/sglang"
# The import of torch alone reads a gigabyte from a volume that was just written.
TIMEOUT_SECONDS: Final = 600
PROGRAM: Final = "import importlib.metadata, sglang, torch; print(importlib.metadata.version('sglang'))"
UNITS: Final = {
    "router": ("sglang-fleet-router.service", "sglang-fleet-discovery.service"),
    "worker": ("sglang-fleet-worker.service",),
}


@dataclass(frozen=True)
class Ran:
    """How a program ended and what it said."""

    status: int
    output: str
    errors: str = ""

    @property
    def reason(self) -> str:
        """The line that usually says why it failed."""
        return last_line(self.errors) or last_line(self.output) or "no output"


def run_as_service(command: Sequence[str], user: str | None = SERVICE_USER) -> Ran:
    """Run a program as the services do."""
    environment = {"PATH": os.defpath, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
            cwd="/",
            env=environment,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except subprocess.TimeoutExpired:
        return Ran(1, "", f"no end after {TIMEOUT_SECONDS} s")
    except OSError as error:
        return Ran(1, "", f"{error.strerror}: {error.filename or command[0]}")
    except KeyError:
        return Ran(1, "", f"there is no user {user}")
    return Ran(done.returncode, done.stdout, done.stderr)


def last_line(output: str) -> str:
    """The last line that is not empty, or nothing."""
    return next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")


def engine(
    bake: Bake, *, from_lock: bool, user: str | None = SERVICE_USER, home: Path = ENGINE_HOME
) -> Iterator[Failure]:
    """The engine can be imported and is the release that was asked for; what stands for it in a rehearsal starts."""
    if not from_lock:
        ran = run_as_service([str(home / "venv/bin/sglang"), "--help"], user)
        if ran.status:
            yield Failure("engine (REPLACED)", f"does not start: {ran.reason}", "correct ENGINE_INSTALL's folder")
        return
    ran = run_as_service([str(home / "venv/bin/python"), "-c", PROGRAM], user)
    if ran.status:
        yield Failure("engine", f"cannot be imported: {ran.reason}", "run make lock and bake again")
    elif last_line(ran.output) != bake.engine_version:
        found = f"SGLang {last_line(ran.output)} instead of {bake.engine_version}"
        yield Failure("engine", found, "run make lock: Pipfile.lock and settings/data/engine_builds.csv differ")


def files(bake: Bake, root: Path = Path("/")) -> Iterator[Failure]:
    """What user data starts is there and executable."""
    home = root / AGENT_HOME.relative_to("/")
    for path in (home / "bin/boot.sh", home / "bin/fleet-agent"):
        if not os.access(path, os.X_OK):
            yield Failure(str(path), "not an executable file", "40-programs.sh must install it")
    for unit in UNITS[bake.role]:
        if not (root / "etc/systemd/system" / unit).is_file():
            yield Failure(unit, "not installed", "40-programs.sh must install it")


def agent(bake: Bake, models: Path, user: str | None = SERVICE_USER, home: Path = AGENT_HOME) -> Iterator[Failure]:
    """`fleet-agent check` is content with a host of this role: interpreter, packages, folders, model."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        config = Path(folder) / "node.json"
        config.write_text(json.dumps(sample(bake, models)))
        ran = run_as_service([str(home / "bin/fleet-agent"), "check", "--config", f"file://{config}"], user)
    if ran.status:
        failed = [line for line in map(_finding, ran.output.splitlines()) if line]
        yield Failure("fleet-agent check", ", ".join(failed) or ran.reason, "bake again")


def _finding(line: str) -> str:
    """A failed finding of the agent's log, or nothing."""
    try:
        event = json.loads(line)
    except ValueError:
        return ""
    return f"{event['subject']}: {event['detail']}" if event.get("outcome") == "failed" else ""


def sample(bake: Bake, models: Path) -> dict[str, object]:
    """A NodeConfig as the stacks would write it for a host of this image."""
    node: dict[str, object] = json.loads((SAMPLES / f"{bake.role}.node.json").read_text())
    worker = node.get("worker")
    if isinstance(worker, dict) and bake.model is not None:
        worker["model_path"] = str(models / bake.model.directory)
    return node
