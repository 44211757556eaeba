"""The scenarios in their short form: a group that scales by itself, and the simulator that says how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal.short_scenarios import SCALING, assert_passed, assert_shown, play

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Any]]:
    yield from play("127.67.0.0/18", SCALING)


@pytest.mark.parametrize("name", SCALING)
def test_a_scenario_shows_what_it_must(played: dict[str, Any], name: str) -> None:
    assert_shown(played, name)


def test_the_rehearsal_has_passed(played: dict[str, Any]) -> None:
    """Among its phases: every metric of the deployed dashboard is published."""
    assert_passed(played)
    assert [phase["passed"] for phase in played["phases"] if phase["name"] == "dashboard"] == [True]
