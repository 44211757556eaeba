"""The unit files agree with the contract, and with systemd where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from user_data.node_config import AGENT_LOG, DISCOVERY_LOG, NODE_CONFIG_PATH, ROUTER_LOG

USER_DATA = Path(__file__).parents[2] / "user_data"
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
UNITS = {"router": ROUTER_LOG, "discovery": DISCOVERY_LOG, "worker": AGENT_LOG}


def _values(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(key, []).append(value)
    return values


@pytest.mark.parametrize("verb", sorted(UNITS))
def test_unit(verb: str) -> None:
    unit = _values((USER_DATA / "systemd" / f"sglang-fleet-{verb}.service").read_text())
    assert unit["ExecStart"] == [f"/opt/sglang-fleet/bin/fleet-agent {verb} --config file://{NODE_CONFIG_PATH}"]
    assert unit["Restart"] == ["always"]
    assert unit["KillSignal"] == ["SIGTERM"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert unit["StandardOutput"] == [f"append:{UNITS[verb]}"]
    assert unit["User"] == ["sglang-fleet"]
    assert unit["RuntimeDirectory"] == ["sglang-fleet"]
    assert unit["NoNewPrivileges"] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]


@pytest.mark.parametrize("verb", ["router", "discovery"])
def test_the_manifest_outlives_a_restart(verb: str) -> None:
    unit = _values((USER_DATA / "systemd" / f"sglang-fleet-{verb}.service").read_text())
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]


def test_what_a_worker_remembers_outlives_its_engine_but_not_a_stop() -> None:
    unit = _values((USER_DATA / "systemd" / "sglang-fleet-worker.service").read_text())
    assert unit["RuntimeDirectoryPreserve"] == ["restart"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("verb", sorted(UNITS))
def test_systemd_accepts_the_unit(verb: str, tmp_path: Path) -> None:
    launcher = "/opt/sglang-fleet/bin/fleet-agent"
    text = (USER_DATA / "systemd" / f"sglang-fleet-{verb}.service").read_text().replace(launcher, "/bin/true")
    path = tmp_path / f"sglang-fleet-{verb}.service"
    path.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["boot.sh", "bin/fleet-agent"])
def test_shell_files_are_short_and_executable(name: str) -> None:
    path = USER_DATA / name
    assert path.stat().st_mode & 0o111
    assert len(path.read_text().splitlines()) < 60


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", ["boot.sh", "bin/fleet-agent"])
def test_shellcheck(name: str) -> None:
    done = subprocess.run([str(SHELLCHECK), str(USER_DATA / name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
