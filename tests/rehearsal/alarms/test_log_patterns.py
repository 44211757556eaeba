"""Filter patterns of CloudWatch Logs."""

from __future__ import annotations

import pytest

from rehearsal.emulated_aws.alarms.log_patterns import PatternError, matcher


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ('"powering off so"', "12:00 powering off so that", "powering so off"),
        ("ERROR host", "host: ERROR", "host: error"),
        ("", "anything", None),
        ('{ $.event = "gone" }', '{"event": "gone", "a": 1}', '{"event": "here"}'),
        ('{ $.event = "gone" }', '{"event": "gone"}', "gone"),
        (
            '{ $.span.code = 5* && $.event != "fine" }',
            '{"span": {"code": 503}, "event": "bad"}',
            '{"span": {"code": 503}}',
        ),
        ('{ $.event != "fine" }', '{"event": "bad"}', '{"event": "fine"}'),
    ],
)
def test_a_line_matches_a_pattern_or_does_not(pattern: str, yes: str, no: str | None) -> None:
    assert matcher(pattern)(yes)
    assert no is None or not matcher(pattern)(no)


@pytest.mark.parametrize("pattern", ["{ $.a > 3 }", "{ $.a = 1", "[ip, user]", "?a ?b", "-a"])
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="filter pattern"):
        matcher(pattern)
