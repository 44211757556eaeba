from __future__ import annotations

import pytest

from rehearsal.scenarios.checks import Check, after, at_least, at_most, exactly, holds, told


@pytest.mark.parametrize(
    ("check", "wanted", "seen", "passed"),
    [
        (at_most("a", 3.0, 3.0), "<= 3 s", "3.0 s", True),
        (at_most("a", 3.0, 3.01), "<= 3 s", "3.0 s", False),
        (at_most("a", 3.0, -2.0), "<= 3 s", "-2.0 s", True),
        (at_most("a", 20, 25.0, "%"), "<= 20 %", "25.0 %", False),
        (at_most("a", 3.0, None), "<= 3 s", "never", False),
        (at_least("a", 0.6, 0.6), ">= 0.6", "0.60", True),
        (at_least("a", 0.6, 0.59), ">= 0.6", "0.59", False),
        (at_least("a", 30, 29.0, "s"), ">= 30 s", "29.00 s", False),
        (at_least("a", 0.0, None), ">= 0", "never", False),
        (exactly("a", 4, 4), "4", "4", True),
        (exactly("a", 4, 3), "4", "3", False),
        (exactly("a", ["x"], []), "['x']", "[]", False),
        (holds("a", seen=True), "yes", "yes", True),
        (holds("a", seen=False), "yes", "no", False),
        (told("a", "1.5 s"), "measured", "1.5 s", True),
    ],
)
def test_a_check_says_what_was_wanted_and_seen(check: Check, wanted: str, seen: str, passed: bool) -> None:
    assert check == Check("a", wanted, seen, passed)


@pytest.mark.parametrize(
    ("later", "earlier", "seconds"), [(5.0, 3.0, 2.0), (3.0, 5.0, -2.0), (None, 3.0, None), (5.0, None, None)]
)
def test_time_between_is_unknown_when_a_moment_never_came(
    later: float | None, earlier: float | None, seconds: float | None
) -> None:
    assert after(later, earlier) == seconds
