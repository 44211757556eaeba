from __future__ import annotations

from rehearsal.scenarios.catalogue import SCENARIOS
from tests.rehearsal.short_scenarios import BY_HAND, CHANGES, FAULTS, SCALING


def test_every_scenario_is_played_once_by_the_tests() -> None:
    assert sorted((BY_HAND, *CHANGES, *FAULTS, *SCALING)) == sorted(SCENARIOS)
