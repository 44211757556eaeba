"""The short form of the scenarios, shared between deployments in networks of their own, so that they run at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from rehearsal.places import NETWORK_VARIABLE, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

BY_HAND = "scale-in"  # on the deployment of test_by_hand.py, which also breaks it
SCALING = ("load-step", "replay")
CHANGES = ("long-stream", "scale-out", "rollout", "spot-notice", "router-replaced", "no-capacity")
FAULTS = (
    "soak",
    "worker-killed",
    "worker-hangs",
    "never-ready",
    "router-killed",
    "aws-down",
    "aws-throttled",
    "aws-slow",
    "metadata-down",
)


def rehearse(network: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet", "rehearse", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
        env={**os.environ, NETWORK_VARIABLE: network},
    )


def play(network: str, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """What one rehearsal with these scenarios says. It is stopped, not destroyed: other tests show `cdktf destroy`."""
    chosen = [word for name in names for word in ("--scenario", name)]
    done = rehearse(network, "--keep", "--json", "--pace", "short", "--requests", "2", *chosen)
    try:
        assert done.stdout.startswith("{"), done.stderr
        yield {"exit status": done.returncode, "shown": done.stderr, **json.loads(done.stdout)}
    finally:
        assert rehearse(network, "--down").returncode == 0


def assert_shown(played: dict[str, Any], name: str) -> None:
    """A scenario shows what it must: every check, and nothing lost without a reason."""
    (result,) = (item for item in played["scenarios"] if item["scenario"] == name)
    assert [check for check in result["checks"] if not check["passed"]] == []
    assert result["ledger"]["total"]["lost"] == 0
    assert result["ledger"]["total"]["complete"] > 100


def assert_passed(played: dict[str, Any]) -> None:
    assert played["exit status"] == 0, played["shown"]
    assert played["passed"]
