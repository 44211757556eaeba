"""The scenarios in their short form, on one deployment in a network of its own; test_by_hand.py plays the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.places import NETWORK_VARIABLE, REPOSITORY
from rehearsal.scenarios.catalogue import SCENARIOS
from tests.rehearsal.test_by_hand import PLAYED_HERE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

NETWORK = "127.64.64.0/18"
NAMES = tuple(name for name in SCENARIOS if name not in PLAYED_HERE)


def rehearse(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet", "rehearse", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
        env={**os.environ, NETWORK_VARIABLE: NETWORK},
    )


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Any]]:
    """What one rehearsal with all of them says. It is stopped, not destroyed: other tests show `cdktf destroy`."""
    chosen = [word for name in NAMES for word in ("--scenario", name)]
    done = rehearse("--keep", "--json", "--pace", "short", "--requests", "2", *chosen)
    try:
        assert done.stdout.startswith("{"), done.stderr
        yield {"exit status": done.returncode, "shown": done.stderr, **json.loads(done.stdout)}
    finally:
        assert rehearse("--down").returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_shows_what_it_must(played: dict[str, Any], name: str) -> None:
    (result,) = (item for item in played["scenarios"] if item["scenario"] == name)
    assert [check for check in result["checks"] if not check["passed"]] == []
    assert result["ledger"]["total"]["lost"] == 0
    assert result["ledger"]["total"]["complete"] > 100


def test_the_rehearsal_has_passed(played: dict[str, Any]) -> None:
    assert played["exit status"] == 0, played["shown"]
    assert played["passed"]
