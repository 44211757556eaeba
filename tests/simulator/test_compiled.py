"""Machine code is kept where it can be, and people are told when it is made."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from simulator.compiled import cache_folder

pytestmark = pytest.mark.slow

PROGRAM = "from simulator.compiled import entry\n@entry\ndef twice(number):\n    return 2 * number\nprint(twice(21))\n"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def ran(program: Path, cache: Path) -> tuple[str, str]:
    """What it printed, and what it said on standard error."""
    variables = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, program], env=variables, check=True, capture_output=True, text=True)
    return done.stdout.strip(), done.stderr


def test_only_the_first_run_compiles_and_says_so(program: Path, tmp_path: Path) -> None:
    first, second = ran(program, tmp_path / "cache"), ran(program, tmp_path / "cache")
    assert first == ("42", "Compiling the simulator for this machine, once: up to 20 s ...\n")
    assert second == ("42", "")


def test_without_a_folder_for_machine_code_it_works_all_the_same(program: Path) -> None:
    nowhere = program / "no folder"
    often = "each time, as no folder to keep it in can be written"
    assert ran(program, nowhere) == ("42", f"Compiling the simulator for this machine, {often}: up to 20 s ...\n")


def test_machine_code_of_a_checkout_that_cannot_be_written_is_kept_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder(tmp_path) == next((tmp_path / ".cache" / "numba").iterdir())
    read_only = tmp_path / "file"
    read_only.write_text("in place of a folder")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = cache_folder(read_only)
    assert kept is not None
    assert kept.is_relative_to(tmp_path / f"sglang-fleet-{os.getuid()}")
    monkeypatch.setattr(tempfile, "tempdir", str(read_only))
    assert cache_folder(read_only) is None
