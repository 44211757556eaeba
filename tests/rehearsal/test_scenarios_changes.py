"""The scenarios in their short form: what an operator or AWS changes about a fleet that is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal.short_scenarios import CHANGES, assert_passed, assert_shown, play

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Any]]:
    yield from play("127.64.64.0/18", CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_a_scenario_shows_what_it_must(played: dict[str, Any], name: str) -> None:
    assert_shown(played, name)


def test_the_rehearsal_has_passed(played: dict[str, Any]) -> None:
    assert_passed(played)
