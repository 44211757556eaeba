#!/usr/bin/env python3
"""Resolve the Pipfile into Pipfile.lock: `make lock`, or for some categories `make lock CATEGORIES="router agent"`.

Pipenv resolves every category but one. Three things are done here that it does not do:

- `_meta.sources` is emptied and no entry names an index, so that the repository holds no registry's address: pip's
  own configuration decides where packages come from.
- [worker-cpu] is a complete set that contradicts sglang's own dependencies (it has CPU torch), so no resolver can take
  it; pip is asked, without dependencies, for the hashes of exactly these releases.
- The result is checked and written at once or not at all: a failed run leaves the lock as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from scripts.venv_from_lock import SECTION_NAMES, canonical

ROOT = Path(__file__).resolve().parent.parent
PIPFILE, LOCK = ROOT / "Pipfile", ROOT / "Pipfile.lock"
NOT_CATEGORIES = frozenset({"pipenv", "requires", "source", "scripts"})
PINNED_SET = "worker-cpu"
# The only distribution without a hash: its CPU build is on another index than the rest (see the Pipfile).
UNHASHED = frozenset({"torch"})
# SGLang 0.5.23 has wheels for these, for glibc 2.34 and newer.
PYTHONS = ("3.11", "3.12", "3.13")
GLIBC_MINORS = (5, 12, 17, 18, 24, 26, 27, 28, 31, 34)

Section = dict[str, dict[str, Any]]


def categories() -> dict[str, dict[str, Any]]:
    """The Pipfile's categories, in its order."""
    pipfile = tomllib.loads(PIPFILE.read_text())
    return {name: table for name, table in pipfile.items() if name not in NOT_CATEGORIES}


def resolve(category: str, folder: Path) -> Section:
    """Have Pipenv resolve one category in a scratch folder; the checkout is not touched."""
    shutil.copy(PIPFILE, folder)
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "PIPENV_VERBOSITY": "-1", "PIPENV_NOSPIN": "1"}
    command = [sys.executable, "-m", "pipenv", "lock", "--categories", category]
    _output(command, environment, folder)
    lock = json.loads((folder / "Pipfile.lock").read_text())
    section: Section = lock[SECTION_NAMES.get(category, category)]
    return section


def pinned_set(pins: dict[str, str]) -> Section:
    """Lock entries for a complete set of exact pins: the hash of the file that pip takes, for each Python release."""
    section: Section = {name: {"hashes": [], "version": pin} for name, pin in pins.items()}
    hashed = {name: pin for name, pin in pins.items() if name not in UNHASHED}
    for python in PYTHONS:
        for name, value in _hashes(hashed, python):
            section[name]["hashes"] = sorted({*section[name]["hashes"], value})
    for name in UNHASHED & section.keys():
        del section[name]["hashes"]
    return section


def _hashes(pins: dict[str, str], python: str) -> list[tuple[str, str]]:
    legacy = ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in GLIBC_MINORS]
    options = ["--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:", f"--python-version={python}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        quiet = ["--quiet", "--disable-pip-version-check", f"--target={folder}/none", f"--report={report}"]
        command = [sys.executable, "-m", "pip", "install", *options, *platforms, *(f"--platform={p}" for p in legacy)]
        _output([*command, *quiet, *(f"{name}{pin}" for name, pin in pins.items())])
        items = json.loads(report.read_text())["install"]
    return [(canonical(item["metadata"]["name"]), f"sha256:{_sha256(item)}") for item in items]


def _sha256(item: dict[str, Any]) -> str:
    value: str = item["download_info"]["archive_info"]["hashes"]["sha256"]
    return value


def _output(command: list[str], environment: dict[str, str] | None = None, folder: Path = ROOT) -> str:
    """What a command printed; its errors are shown, and end the run, only when it failed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def pipfile_hash() -> str:
    """Pipenv's own hash of the Pipfile, by which `pipenv verify` knows that the lock belongs to it."""
    program = "from pipenv.project import Project; print(Project().pipfile.calculate_hash())"
    environment = {**os.environ, "PIPENV_PIPFILE": str(PIPFILE), "PIPENV_IGNORE_VIRTUALENVS": "1"}
    command = [sys.executable, "-c", program]
    return _output(command, environment).strip()


def write(digest: str, sections: dict[str, Section]) -> None:
    """Write the lock in one step, in Pipenv's own layout."""
    for section in sections.values():
        for entry in section.values():
            entry.pop("index", None)
    meta = {"hash": {"sha256": digest}, "pipfile-spec": 6, "requires": {}, "sources": []}
    text = json.dumps({"_meta": meta, **dict(sorted(sections.items()))}, indent=4, sort_keys=True) + "\n"
    scratch = LOCK.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(LOCK)


def main() -> None:
    """Lock the categories named on the command line, or all."""
    known = categories()
    parser = argparse.ArgumentParser(description="Resolve the Pipfile into Pipfile.lock.")
    parser.add_argument("category", nargs="*", help=f"{' '.join(known)} (default: all)")
    wanted = parser.parse_args().category or list(known)
    if unknown := sorted(set(wanted) - known.keys()):
        parser.error(f"no category {', '.join(unknown)} in the Pipfile; it has {', '.join(known)}")
    old = json.loads(LOCK.read_text()) if LOCK.exists() else {}
    kept = {SECTION_NAMES.get(name, name) for name in known}
    sections = {name: section for name, section in old.items() if name in kept}
    digest = pipfile_hash()
    for category in wanted:
        print(f"locking [{category}] …", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            fresh = pinned_set(known[category]) if category == PINNED_SET else resolve(category, Path(folder))
        sections[SECTION_NAMES.get(category, category)] = fresh
        print(f"locked [{category}]: {len(fresh)} packages", flush=True)
    write(digest, sections)


if __name__ == "__main__":
    main()
