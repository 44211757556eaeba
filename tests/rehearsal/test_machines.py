"""Which machines have to be switched on or off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rehearsal.machines import PowerOff, PowerOn, plan

from .test_metadata import INSTANCE

pytestmark = pytest.mark.slow  # importing moto takes two seconds

STOPPED = replace(INSTANCE, id="i-2", state="stopped")


def test_exactly_the_running_instances_have_a_machine() -> None:
    assert plan((INSTANCE, STOPPED), frozenset()) == [PowerOn(INSTANCE)]
    assert plan((INSTANCE, STOPPED), frozenset({INSTANCE.id, "i-2", "i-3"})) == [PowerOff("i-2"), PowerOff("i-3")]
    assert plan((INSTANCE,), frozenset({INSTANCE.id})) == []
