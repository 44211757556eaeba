"""Makes what the real engine needs, once: its environment from the lock, two shims, the tiny model.

Each step is done when its result is in its place, and results are moved there whole, so a run that was cut off is
simply run again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Log = Callable[[str], None]

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
CATEGORY = "worker-cpu"
CORPUS = REPOSITORY / "LICENSE"
MODEL_SCRIPT = HERE / "tiny_model.py"
# Where each shim lies in the environment's site-packages; vllm is made a package by the empty file.
SHIMS = {
    "sitecustomize.py": "sitecustomize.py",
    "vllm_custom_ops.py": "vllm/_custom_ops.py",
    "vllm_package.py": "vllm/__init__.py",
}
WEIGHTS = "model.safetensors"
# What an engine's three processes import at their start. pip does not compile here and a worker's unit writes no
# bytecode, so each start would compile them anew: imports took 22 s of processor time in each process, and 10 s with
# bytecode there (measured on two cores). A baked image has it.
IMPORTED = (
    "sglang.srt.entrypoints.http_server",
    "sglang.srt.managers.detokenizer_manager",
    "sglang.srt.managers.scheduler",
    "sglang.srt.models.registry",
)
COMPILED = ".compiled"
FINGERPRINT = ".lock-fingerprint"  # written by scripts/venv_from_lock.py


class PrepareError(Exception):
    """The real engine cannot be made ready; the message says which step failed and what it said."""


@dataclass(frozen=True)
class RealEngine:
    """Where the parts are."""

    python: Path
    sglang_bin: Path
    model_dir: Path


def prepare(cache_dir: Path, log: Log = print) -> RealEngine:
    """Make environment, shims and model under `cache_dir`, or find them there.

    About two minutes and 3 GB the first time, under a second later. `log` gets one line of progress at a time. Raises
    PrepareError.
    """
    cache_dir = cache_dir.resolve()
    venv = cache_dir / "venvs" / CATEGORY
    _environment(venv, log)
    python = venv / "bin" / "python"
    install_shims(_site_packages(python), log)
    compile_imports(venv, log)
    return RealEngine(python, venv / "bin" / "sglang", make_model(python, cache_dir, log))


def install_shims(site_packages: Path, log: Log) -> None:
    """Put the shims beside the installed packages, unless they are there already."""
    for source, target in SHIMS.items():
        content = (HERE / "shims" / source).read_bytes()
        place = site_packages / target
        if place.is_file() and place.read_bytes() == content:
            continue
        log(f"shim {target}")
        place.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(place, content)


def compile_imports(venv: Path, log: Log) -> None:
    """Import once what the engine imports, so that its bytecode is there; again after a change of the environment."""
    stamp, wanted = venv / COMPILED, (venv / FINGERPRINT).read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    log("compiling what the engine imports (about 30 seconds)")
    # Its warnings about what a CPU lacks say nothing to a reader; a failure shows the last of them.
    _follow([str(venv / "bin" / "python"), "-c", f"import {', '.join(IMPORTED)}"], lambda _line: None)
    stamp.write_text(wanted)


def make_model(python: Path, cache_dir: Path, log: Log) -> Path:
    """The folder of the tiny model; another script or corpus gives another folder."""
    recipe = sha256(MODEL_SCRIPT.read_bytes() + CORPUS.read_bytes()).hexdigest()[:12]
    place = cache_dir / f"tiny-model-{recipe}"
    if not (place / WEIGHTS).is_file():
        log("tiny model: a two-layer Llama with random weights")
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir) as folder:
            made = Path(folder) / "model"
            _follow([str(python), str(MODEL_SCRIPT), str(made), str(CORPUS)], log)
            shutil.rmtree(place, ignore_errors=True)
            made.rename(place)
    return place


def _environment(venv: Path, log: Log) -> None:
    started = time.monotonic()
    _follow([sys.executable, str(REPOSITORY / "scripts" / "venv_from_lock.py"), CATEGORY, str(venv)], log)
    if not (venv / "bin" / "sglang").is_file():
        raise PrepareError(f"{venv}: the environment has no bin/sglang; remove the folder and run again")
    log(f"environment {CATEGORY} ready after {time.monotonic() - started:.0f} s")


def _site_packages(python: Path) -> Path:
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def _write_whole(place: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(place)


def _follow(command: Sequence[str], log: Log) -> None:
    """Run a program and pass its lines on as they come."""
    lines: list[str] = []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"},
    ) as process:
        for line in filter(str.strip, process.stdout or ()):
            lines.append(line.rstrip())
            log(line.rstrip())
    if process.returncode:
        raise PrepareError("\n".join([f"{Path(command[1]).name} failed ({process.returncode}):", *lines[-10:]]))
