"""boot.sh with an agent and a systemctl that only say what they were asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BOOT = Path(__file__).parents[2] / "user_data" / "boot.sh"


def _program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _boot(
    root: Path, *units: str, check: str = "exit 0", systemctl: str = "exit 0"
) -> subprocess.CompletedProcess[str]:
    _program(root / "opt/sglang-fleet/bin/fleet-agent", f'echo "agent $*"; {check}')
    _program(root / "usr/bin/systemctl", f'echo "$*" >> "{root}/systemctl.calls"; {systemctl}')
    environment = {"PATH": f"{root}/usr/bin:{os.environ['PATH']}", "SGLANG_FLEET_ROOT": str(root)}
    bash = shutil.which("bash") or "bash"
    return subprocess.run([bash, BOOT, *units], env=environment, capture_output=True, text=True, check=False)


def _calls(root: Path) -> list[str]:
    return (root / "systemctl.calls").read_text().splitlines()


def test_a_good_host_starts_its_units(tmp_path: Path) -> None:
    done = _boot(tmp_path, "a.service", "b.service")
    assert done.returncode == 0, done.stderr
    assert _calls(tmp_path) == ["enable --now a.service b.service"]
    assert "agent check" in (tmp_path / "var/log/sglang-fleet/agent.log").read_text()


@pytest.mark.parametrize(
    ("units", "check", "systemctl", "reason"),
    [
        (["a.service"], "exit 1", "exit 0", "fleet-agent check failed"),
        ([], "exit 0", "exit 0", "no unit to start"),
        (["a.service"], "exit 0", '[ "$1" = poweroff ]', "systemctl could not start a.service"),
    ],
)
def test_a_host_that_cannot_serve_leaves(
    tmp_path: Path, units: list[str], check: str, systemctl: str, reason: str
) -> None:
    done = _boot(tmp_path, *units, check=check, systemctl=systemctl)
    assert done.returncode == 1
    assert _calls(tmp_path)[-1] == "poweroff"
    assert reason in done.stderr
    assert reason in (tmp_path / "var/log/sglang-fleet/agent.log").read_text()
