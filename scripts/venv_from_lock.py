#!/usr/bin/env python3
"""Make a virtual environment hold exactly what one or more categories of Pipfile.lock name.

    scripts/venv_from_lock.py packages,dev-packages .venv
    scripts/venv_from_lock.py router .cache/venvs/router

Standard library only: it runs before anything is installed. Why not `pipenv sync`: the lock is already a complete
resolution, so `pip install --no-deps --require-hashes` needs no second resolver, works with an empty `_meta.sources`,
and leaves the index to pip's own configuration. A second run with an unchanged lock section does nothing.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "Pipfile.lock"
STAMP = ".lock-fingerprint"
# Pipenv's lock keeps its first two categories under older names than the Pipfile does.
SECTION_NAMES = {"packages": "default", "dev-packages": "develop"}
# Present in an environment without being in the lock: pip itself, and this checkout's editable install.
UNMANAGED = frozenset({"pip", "setuptools", "wheel", "sglang-fleet"})
CPU_TORCH_REMEDY = (
    "torch's CPU build is not on the default package index: set PIP_EXTRA_INDEX_URL to PyTorch's CPU wheel index "
    "(pytorch.org, 'Get Started', platform CPU, shows its address) and run this again"
)


class SetupError(Exception):
    """The environment cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Pin:
    """One distribution of the lock: a requirement line without hashes, and the hashes of its files."""

    name: str
    requirement: str
    hashes: tuple[str, ...]

    def line(self) -> str:
        """The line for pip's requirements file."""
        return " ".join([self.requirement, *(f"--hash={value}" for value in self.hashes)])


def canonical(name: str) -> str:
    """A distribution's name as the packaging standard compares it: lower case, one dash between words."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(lock: Path, categories: Sequence[str]) -> tuple[Pin, ...]:
    """All pins of the categories, by name.

    Raises:
        SetupError: the lock has no such category, or two categories pin one distribution differently.
    """
    sections: dict[str, dict[str, dict[str, Any]]] = json.loads(lock.read_text())
    pins: dict[str, Pin] = {}
    for category in categories:
        section = SECTION_NAMES.get(category, category)
        if section not in sections:
            known = ", ".join(sorted(set(sections) - {"_meta"}))
            raise SetupError(f"{lock.name}: no category {category!r}; it has {known}; run `make lock` after a change")
        for name, entry in sections[section].items():
            pin = _pin(name, entry)
            if pins.setdefault(pin.name, pin).requirement.split(";")[0] != pin.requirement.split(";")[0]:
                raise SetupError(f"{lock.name}: {name} is pinned differently in {' and '.join(categories)}; align them")
    return tuple(pins[name] for name in sorted(pins))


def _pin(name: str, entry: dict[str, Any]) -> Pin:
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    markers = f" ; {entry['markers']}" if entry.get("markers") else ""
    return Pin(canonical(name), f"{name}{extras}{entry['version']}{markers}", tuple(entry.get("hashes", ())))


def fingerprint(pins: Sequence[Pin]) -> str:
    """What the stamp holds: it changes with any pin and with the Python release that the environment is for."""
    text = "\n".join([f"python{sys.version_info.major}.{sys.version_info.minor}", *(pin.line() for pin in pins)])
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock file: a second process waits here until the first has finished, then finds its work."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name.lstrip('.')}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{folder}: another process is installing here; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Show progress at once, also when the output is a file."""
    print(text, flush=True)


def sync(folder: Path, pins: Sequence[Pin], *, bytecode: bool = False) -> bool:
    """Bring the environment to the pins, with bytecode if wanted; returns whether there was anything to do.

    Raises:
        SetupError: pip failed; its last lines are in the message.
    """
    stamp, wanted = folder / STAMP, fingerprint(pins)
    if stamp.exists() and stamp.read_text() == wanted:
        stamp.touch()  # newer than Pipfile.lock again, so that make stops asking
        return False
    _ensure_venv(folder)
    stamp.unlink(missing_ok=True)
    install(folder, pins)
    remove_strangers(folder, pins)
    if bytecode:
        # Its status is not looked at: packages bring templates and sources of other Pythons, which do not compile.
        compiler = [str(folder / "bin" / "python"), "-m", "compileall", "-qq", "-j", "0", str(folder / "lib")]
        subprocess.run(compiler, check=False)
    stamp.write_text(wanted)
    return True


def _ensure_venv(folder: Path) -> None:
    python = folder / "bin" / "python"
    question = [str(python), "-c", "import sys, pip; print('%d.%d' % sys.version_info[:2])"]
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python.exists():
        answer = subprocess.run(question, capture_output=True, text=True, check=False)
        if answer.stdout.strip() == mine:
            return
    say(f"{folder}: making a virtual environment with Python {mine}")
    venv.create(folder, clear=folder.exists(), with_pip=True, symlinks=True)


def install(folder: Path, pins: Sequence[Pin]) -> None:
    """Install the pins: those with hashes under --require-hashes, then the few that cannot have any.

    Raises:
        SetupError: pip failed.
    """
    hashed = [pin for pin in pins if pin.hashes]
    free = [pin for pin in pins if not pin.hashes]
    if free:  # first, because it is the part that a missing index breaks
        _pip_install(folder, free, [])
    _pip_install(folder, hashed, ["--require-hashes"])


def _pip_install(folder: Path, pins: Sequence[Pin], options: Sequence[str]) -> None:
    # --no-compile: 2,139 provider modules would be compiled and a few dozen are ever imported.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(pin.line() for pin in pins))
        requirements.flush()
        command = ["-m", "pip", "install", "--no-deps", "--no-compile", "--no-input", "--disable-pip-version-check"]
        python = str(folder / "bin" / "python")
        lines = _follow([python, *command, *options, "-r", requirements.name], folder, len(pins))
    if lines:
        remedy = f"\n{CPU_TORCH_REMEDY}" if any("torch==" in line and "+cpu" in line for line in lines) else ""
        raise SetupError(f"{folder}: pip failed:\n" + "\n".join(lines[-15:]) + remedy)


def _follow(command: Sequence[str], folder: Path, total: int) -> list[str]:
    """Run pip, counting what it fetches; returns its output when it failed and nothing when it worked."""
    lines: list[str] = []
    fetched, shown = 0, time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for raw in process.stdout or ():
            lines.append(raw.rstrip())
            fetched += raw.startswith(("Collecting ", "Processing ", "Requirement already satisfied"))
            if raw.startswith("Installing collected"):
                say(f"{folder}: {fetched} of {total} fetched; installing")
            elif fetched < total and time.monotonic() - shown > 5:  # noqa: PLR2004 - seconds between two signs of life
                say(f"{folder}: {fetched} of {total} fetched")
                shown = time.monotonic()
    return lines if process.returncode else []


def remove_strangers(folder: Path, pins: Sequence[Pin]) -> None:
    """Uninstall what an earlier lock brought and this one does not name."""
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    listing = subprocess.run([*pip, "list", "--format=json"], capture_output=True, text=True, check=True)
    installed = {canonical(item["name"]) for item in json.loads(listing.stdout)}
    strangers = sorted(installed - {pin.name for pin in pins} - UNMANAGED)
    if strangers:
        say(f"{folder}: removing {', '.join(strangers)}")
        subprocess.run([*pip, "uninstall", "--quiet", "--yes", *strangers], check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the environment is as the lock says, 1 when it cannot be."""
    parser = argparse.ArgumentParser(description="Install categories of Pipfile.lock into a virtual environment.")
    parser.add_argument("categories", help="as in the Pipfile, comma-separated: packages,dev-packages | router | …")
    parser.add_argument("folder", type=Path, help="the environment's folder; made when it is not there")
    parser.add_argument("--lock", type=Path, default=LOCK, help="another lock file (default: the checkout's)")
    parser.add_argument(
        "--compile", action="store_true", help="write bytecode: for programs that may not, or start often"
    )
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    try:
        pins = read_pins(options.lock, options.categories.split(","))
        with only_one(options.folder):
            changed = sync(options.folder, pins, bytecode=options.compile)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    state = f"{len(pins)} packages in {time.monotonic() - begun:.0f} s" if changed else "up to date"
    say(f"{options.folder}: {state}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
