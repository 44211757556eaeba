"""Metric math as the CloudWatch user guide describes it."""

from __future__ import annotations

import pytest

from rehearsal.emulated_aws.alarms.metric_math import Math, check
from rehearsal.emulated_aws.alarms.metric_math_parser import MetricMathError

A = {0: 1.0, 10: 2.0, 30: 4.0}
B = {0: 2.0, 20: 5.0, 30: 0.0}
GRID = (0, 10, 20, 30)


def result(expression: str, **more: str) -> dict[int, float]:
    return dict(Math(GRID, 10, {"m1": A, "m2": B}, {"e": expression, **more}).series("e"))


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("m1 + 1", {0: 2, 10: 3, 30: 5}),
        ("m1 + m2", {0: 3, 30: 4}),  # missing on one side is missing
        ("m1 / m2", {0: 0.5}),  # division by zero is missing
        ("m1 / 0", {}),
        ("1 / 0", {}),
        ("2 + 3 * m1 ^ 2", {0: 5, 10: 14, 30: 50}),
        ("-m1 - -1", {0: 0, 10: -1, 30: -3}),
        ("(0 - m1) ^ 0.5", {}),  # no real number
        ("m1 > 1 AND m1 < 4", {0: 0, 10: 1, 30: 0}),
        ("m1 == 1 || m1 >= 4", {0: 1, 10: 0, 30: 1}),
        ("IF(m1 > 1, m1, 0)", {0: 0, 10: 2, 30: 4}),
        ("IF(m1 > 1, m1)", {10: 2, 30: 4}),
        ("IF(m1 > 1, m1 / (m1 - 2), 7)", {0: 7, 30: 2}),
        ("IF(1 < 0, m1, m2)", B),
        ("FILL(m1, 9)", {0: 1, 10: 2, 20: 9, 30: 4}),
        ("FILL(m1, REPEAT)", {0: 1, 10: 2, 20: 2, 30: 4}),
        ("FILL(m2, REPEAT)", {0: 2, 10: 2, 20: 5, 30: 0}),
        ("FILL(m1, m2)", {0: 1, 10: 2, 20: 5, 30: 4}),
        ("MAX(m1)", dict.fromkeys(GRID, 4)),
        ("MAX([m1, m2])", {0: 2, 10: 2, 20: 5, 30: 4}),
        ("MAX([m1, 3])", {0: 3, 10: 3, 30: 4}),
        ("MIN([m1, m2])", {0: 1, 10: 2, 20: 5, 30: 0}),
        ("SUM([m1, m2])", {0: 3, 10: 2, 20: 5, 30: 4}),
        ("AVG(METRICS())", {0: 1.5, 10: 2, 20: 5, 30: 2}),
        ("SUM(METRICS('m2'))", B),
        ("ABS(m1 - 2)", {0: 1, 10: 0, 30: 2}),
        ("CEIL(m1 / 3)", {0: 1, 10: 1, 30: 2}),
        ("FLOOR(m1 / 3)", {0: 0, 10: 0, 30: 1}),
        ("m1 / PERIOD(m1)", {0: 0.1, 10: 0.2, 30: 0.4}),
        ("1e1", dict.fromkeys(GRID, 10)),
    ],
)
def test_an_expression_gives_a_series(expression: str, wanted: dict[int, float]) -> None:
    assert result(expression) == pytest.approx(wanted)


def test_an_expression_uses_others() -> None:
    assert result("half * 4", half="m1 / 2") == {0: 2, 10: 4, 30: 8}


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("m1 +", "Unexpected 'end of expression'"),
        ("m1 m2", "Unexpected 'm2'"),
        ("m1 ? 2", "Unexpected '?'"),
        ("(m1", "expected ')'"),
        ("[m1; m2]", "Unexpected ';'"),
        ("RATE(m1)", "Unsupported function 'RATE'"),
        ("M1 + 1", "Invalid id 'M1'"),
        ("m3 * 2", "Unknown id 'm3'"),
        ("IF(m1)", "Wrong number of arguments of IF"),
        ("FILL(3, 1)", "FILL needs a time series"),
        ("METRICS(m1)", "METRICS takes a text"),
        ("'text'", "Unexpected 'text'"),
        ("e + 1", "depends on itself"),
        ("[m1, m2]", "must return one time series"),
        ("METRICS() + 1", "An array of time series is not possible here"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_expression(expression: str, why: str) -> None:
    with pytest.raises(MetricMathError) as caught:
        result(expression)
    assert str(caught.value).startswith(f"Error in expression '{expression}': ")
    assert why in str(caught.value)
    assert caught.value.code == "ValidationError"


def test_an_expression_is_checked_before_there_is_data() -> None:
    check("m1 / (m2 - 1)", ("m1", "m2"))
    with pytest.raises(MetricMathError, match="Unknown id 'm2'"):
        check("m1 / (m2 - 1)", ("m1",))
