"""What `fleet rehearse` says and does when it is interrupted or cannot begin.

The whole line is in test_by_hand.py (engine emulator, left running by one rehearsal) and in test_real_sglang.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rehearsal.cloud_process import find_running
from rehearsal.places import REPOSITORY, default_work_folder
from rehearsal.processes import marked

pytestmark = pytest.mark.slow

WORK = default_work_folder()


def rehearse(*arguments: str, seconds: float = 600) -> tuple[int, dict[str, Any], str]:
    """Run the command as a person does; exit status, result, what was shown."""
    command = [sys.executable, "-m", "fleet", "rehearse", "--json", *arguments]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=seconds, check=False, env=os.environ
    )
    result = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    return done.returncode, result, done.stderr


def assert_nothing_runs() -> None:
    assert find_running() is None
    assert marked("SGLANG_FLEET_ROOT", str(WORK.root)) == ()


def test_ctrl_c_ends_everything() -> None:
    command = [sys.executable, "-m", "fleet", "rehearse"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while find_running() is None:
            assert time.monotonic() < deadline, "the emulated cloud did not come up"
            time.sleep(0.2)
        time.sleep(3)  # into `fleet init`, with Terraform running
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert "interrupted" in shown
    assert_nothing_runs()


def test_addresses_outside_loopback_are_refused() -> None:
    status, _, shown = rehearse("--environment", str(REPOSITORY / "environments" / "example.toml"), seconds=60)
    assert status == 2
    assert "is not a loopback block" in " ".join(shown.split())


def test_wrong_settings_are_told_without_a_traceback(tmp_path: Path) -> None:
    status, _, shown = rehearse("--environment", str(tmp_path / "absent.toml"), seconds=60)
    assert status == 2
    assert "does not exist" in " ".join(shown.split())
    assert "Traceback" not in shown
