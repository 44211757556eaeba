"""Alarm states, against the tables of "Configuring how CloudWatch alarms treat missing data"."""

from __future__ import annotations

from typing import cast

import pytest

from rehearsal.emulated_aws.alarms.evaluation import Missing, Rule, State, Verdict, evaluate
from rehearsal.emulated_aws.alarms.metric_math import Math
from rehearsal.emulated_aws.alarms.statistics import by_period, point

TREATMENTS: tuple[Missing, ...] = ("missing", "ignore", "breaching", "notBreaching")
WORDS = {"A": State.ALARM, "O": State.OK, "I": State.INSUFFICIENT_DATA, "R": None}  # R: retain the current state
LATE = 1_000_000


def rule(points: int = 3, missing: Missing = "missing", **changes: object) -> Rule:
    given = {"comparison": "GreaterThanThreshold", "threshold": 5.0, "period": 10, "periods": 3, **changes}
    return Rule(points=points, missing=missing, **given)  # type: ignore[arg-type]


def judge(one: Rule, data: str, current: State = State.OK) -> Verdict:
    """`data` as on AWS's page, oldest first: X breaches, 0 does not, - is missing."""
    window = one.window(LATE)
    values = {"X": 9.0, "0": 1.0}
    symbols = data.replace(" ", "")
    series = {at: values[s] for at, s in zip(window, symbols, strict=True) if s in values}
    return evaluate(one, window, series, current)


@pytest.mark.parametrize(
    ("data", "points", "wanted"),
    [
        ("0 - X - X", 3, "OOOO"),
        ("- - - - 0", 3, "OOOO"),
        ("- - - - -", 3, "IRAO"),
        ("0 X X - X", 3, "AAAA"),
        ("- - X - -", 3, "ARAO"),
        ("0 - X - X", 2, "AAAA"),
        ("0 0 X 0 X", 2, "AAAA"),
        ("0 - X - -", 2, "OOAO"),
        ("- - - - 0", 2, "OOAO"),
        ("- - - X -", 2, "ARAO"),
        ("- - - - X", 3, "OOAO"),  # not prematurely
        ("- - - X -", 3, "OOAO"),
    ],
)
@pytest.mark.parametrize("current", [State.OK, State.ALARM])
def test_the_tables_of_the_user_guide(data: str, points: int, wanted: str, current: State) -> None:
    found = [judge(rule(points, missing), data, current).state for missing in TREATMENTS]
    assert found == [WORDS[letter] or current for letter in wanted]


@pytest.mark.parametrize(
    ("comparison", "wanted"),
    [
        ("GreaterThanThreshold", [False, False, True]),
        ("GreaterThanOrEqualToThreshold", [False, True, True]),
        ("LessThanThreshold", [True, False, False]),
        ("LessThanOrEqualToThreshold", [True, True, False]),
    ],
)
def test_comparisons(comparison: str, wanted: list[bool]) -> None:
    one = rule(comparison=comparison)
    assert [one.breaches(value) for value in (4.9, 5.0, 5.1)] == wanted


@pytest.mark.parametrize(
    ("period", "now", "wanted"), [(10, 1009, (980, 1000)), (60, 1009, (840, 960)), (300, 1009, (360, 960))]
)
def test_an_evaluation_looks_at_whole_periods_and_at_two_more(period: int, now: float, wanted: tuple[int, int]) -> None:
    window = Rule("LessThanThreshold", 1, period, 1, 1).window(now)
    assert (len(window), window[1], window[-1] + period) == (3, *wanted)


def test_the_reason_tells_values_and_counts() -> None:
    verdict = judge(rule(), "0 0 X X X")
    assert verdict.reason.startswith("Threshold Crossed: 3 out of the last 3 datapoints [9.0 (12/01/70 13:46:30), ")
    assert verdict.reason.endswith(
        "were greater than the threshold (5.0) (minimum 3 datapoints for OK -> ALARM transition)."
    )
    assert verdict.latest == 9.0
    assert judge(rule(), "0 0 0 X 0").reason.startswith("Threshold Crossed: 2 out of the last 3 datapoints [1.0")
    assert "and 2 missing datapoints [treated as breaching]" in judge(rule(missing="breaching"), "----X").reason


def test_the_reason_for_no_data() -> None:
    verdicts = {missing: judge(rule(missing=missing), "-----") for missing in TREATMENTS}
    assert verdicts["missing"].reason == "Insufficient Data: no datapoints were received for 3 periods"
    assert "[Breaching]" in verdicts["breaching"].reason
    assert "[NonBreaching]" in verdicts["notBreaching"].reason
    assert verdicts["ignore"].latest is None


# What acceptance 4 of the scaling work asks of the alarms, as evaluations. In flight and ready workers every 10 s.


def metrics(values: dict[str, dict[float, float]], window: range) -> Math:
    found = {
        name: by_period([point(at, [v]) for at, v in data.items()], "Average", window) for name, data in values.items()
    }
    return Math(list(window), window.step, found, {"load": "flying / ready", "rest": "flying / (ready - 1)"})


def load_alarm(missing: str = "missing") -> Rule:
    return rule(missing=cast("Missing", missing))


def test_no_data_at_all_neither_grows_nor_shrinks() -> None:
    window = load_alarm().window(LATE)
    series = metrics({"flying": {}, "ready": {}}, window).series("load")
    assert evaluate(load_alarm(), window, series, State.ALARM).state is State.INSUFFICIENT_DATA
    low = rule(comparison="LessThanThreshold", missing="notBreaching")
    assert evaluate(low, window, series, State.ALARM).state is State.OK


def test_with_no_ready_worker_load_is_missing_and_the_alarm_says_so() -> None:
    """Division by zero. What is to grow the fleet then is another alarm, on the ready workers."""
    window = load_alarm().window(LATE)
    data = {"flying": dict.fromkeys(map(float, window), 40.0), "ready": dict.fromkeys(map(float, window), 0.0)}
    math = metrics(data, window)
    assert math.series("load") == {}
    assert evaluate(load_alarm(), window, math.series("load"), State.OK).state is State.INSUFFICIENT_DATA
    none = rule(comparison="LessThanThreshold", threshold=1.0)
    assert evaluate(none, window, math.series("ready"), State.OK).state is State.ALARM


def test_the_last_worker_is_never_found_idle() -> None:
    window = load_alarm().window(LATE)
    data = {"flying": dict.fromkeys(map(float, window), 0.0), "ready": dict.fromkeys(map(float, window), 1.0)}
    low = rule(comparison="LessThanThreshold", missing="notBreaching")
    assert evaluate(low, window, metrics(data, window).series("rest"), State.OK).state is State.OK


def test_five_minutes_without_cloudwatch_keep_an_idle_fleet_and_end_with_the_first_data() -> None:
    """Points that could not be sent are missing: no scale-in on them, and the alarm is as before once data is back."""
    low = rule(10, "notBreaching", comparison="LessThanThreshold", period=60, periods=10)
    start = LATE - LATE % 60
    points = [point(at, [1.0]) for at in range(start - 3600, start + 3600, 10) if not start <= at < start + 300]
    states = {}
    for now in range(start - 60, start + 1200, 60):
        window = low.window(now)
        states[now - start] = evaluate(low, window, by_period(points, "Maximum", window), State.OK).state
    assert states[-60] is states[0] is states[60] is states[120] is State.ALARM  # ten real points in the longer range
    assert {states[at] for at in range(180, 600 + 180, 60)} == {State.OK}
    assert states[1140] is State.ALARM


@pytest.mark.parametrize("skew", [-5, 5])
def test_a_publisher_whose_clock_is_five_seconds_off_is_at_most_one_period_late(skew: int) -> None:
    one = load_alarm()
    step = LATE - LATE % 10

    def state(now: int) -> State:
        sent = [point(at + skew, [9.0 if at >= step else 1.0]) for at in range(step - 600, now + 1, 10)]
        return evaluate(one, one.window(now), by_period(sent, "Average", one.window(now)), State.OK).state

    went = next(now for now in range(step, step + 600, 10) if state(now) is State.ALARM)
    assert 20 <= went - step <= 40
