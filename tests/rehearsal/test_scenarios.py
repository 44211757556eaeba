"""All scenarios but the soak (in test_by_hand.py) in their short form, on one deployment in a network of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from rehearsal.places import NETWORK_VARIABLE, REPOSITORY
from rehearsal.scenarios.catalogue import SCENARIOS

pytestmark = pytest.mark.slow

NETWORK = "127.64.64.0/18"
NAMES = tuple(name for name in SCENARIOS if name != "soak")


@pytest.fixture(scope="module")
def played() -> dict[str, Any]:
    """What one rehearsal with all of them says."""
    chosen = [word for name in NAMES for word in ("--scenario", name)]
    done = subprocess.run(
        [sys.executable, "-m", "fleet", "rehearse", "--json", "--pace", "short", *chosen],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
        env={**os.environ, NETWORK_VARIABLE: NETWORK},
    )
    assert done.stdout.startswith("{"), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["leftovers"] == [], done.stderr
    return {"exit status": done.returncode, "shown": done.stderr, **result}


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_shows_what_it_must(played: dict[str, Any], name: str) -> None:
    (result,) = (item for item in played["scenarios"] if item["scenario"] == name)
    assert [check for check in result["checks"] if not check["passed"]] == []
    assert result["ledger"]["total"]["lost"] == 0
    assert result["ledger"]["total"]["complete"] > 100


def test_the_rehearsal_has_passed(played: dict[str, Any]) -> None:
    assert played["exit status"] == 0, played["shown"]
    assert played["passed"]
