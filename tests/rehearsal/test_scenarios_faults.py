"""The scenarios in their short form: what fails in or around a fleet, and the soak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal.short_scenarios import FAULTS, assert_passed, assert_shown, play

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Any]]:
    # Not /18: its last addresses, where the API is, are those of the default network.
    yield from play("127.64.192.0/19", FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_scenario_shows_what_it_must(played: dict[str, Any], name: str) -> None:
    assert_shown(played, name)


def test_the_rehearsal_has_passed(played: dict[str, Any]) -> None:
    assert_passed(played)
