"""From the statistics of the last periods to the state of an alarm (alarm-evaluation.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Final, Literal

from rehearsal.emulated_aws.alarms.statistics import STANDARD_RESOLUTION

Missing = Literal["missing", "notBreaching", "breaching", "ignore"]

COMPARISONS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanThreshold": (gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (ge, "greater than or equal to"),
    "LessThanThreshold": (lt, "less than"),
    "LessThanOrEqualToThreshold": (le, "less than or equal to"),
}
# alarms-and-missing-data.html: "the exact number depends on the length of the alarm period and whether it is based on
# a metric with standard resolution or high resolution"; its example looks at 5 periods for 3. Two more: an assumption.
EXTRA_PERIODS: Final = 2
# alarm-evaluation.html: alarms with periods of a minute and more are evaluated every minute, with shorter ones every
# 10 seconds.
SHORT_INTERVAL: Final = 10
# alarm-actions.html: an Auto Scaling action is invoked again every minute while the alarm stays in the state.
REPEAT_SECONDS: Final = 60


class State(StrEnum):
    """What an alarm says (alarm-concepts.html)."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True)
class Rule:
    """When an alarm goes off: M of N data points beyond a threshold (API_PutMetricAlarm.html).

    `points` is M, DatapointsToAlarm; `periods` is N, EvaluationPeriods; `period` is in seconds.
    """

    comparison: str
    threshold: float
    period: int
    periods: int
    points: int
    missing: Missing = "missing"

    def breaches(self, value: float) -> bool:
        """Whether a value lies on the alarming side of the threshold."""
        return COMPARISONS[self.comparison][0](value, self.threshold)

    @property
    def interval(self) -> int:
        """Seconds between two evaluations."""
        return SHORT_INTERVAL if self.period < STANDARD_RESOLUTION else STANDARD_RESOLUTION

    def window(self, now: float) -> range:
        """Starts of the periods of the evaluation range: whole ones, the last of which has just ended.

        alarms-and-missing-data.html: it is longer than EvaluationPeriods. Periods of several minutes move on by a
        minute with each evaluation.
        """
        end = int(now // self.interval) * self.interval
        return range(end - (self.periods + EXTRA_PERIODS) * self.period, end, self.period)


@dataclass(frozen=True)
class Verdict:
    """The state that an evaluation finds, why, and the values that it looked at, newest first."""

    state: State
    reason: str
    values: tuple[tuple[int, float], ...] = ()

    @property
    def latest(self) -> float | None:
        """The most recent value."""
        return self.values[0][1] if self.values else None


@dataclass(frozen=True)
class Change:
    """From which state to which, by which rule; they may be the same."""

    rule: Rule
    old: State
    new: State


def evaluate(rule: Rule, range_: Sequence[int], series: Mapping[int, float], current: State) -> Verdict:
    """The state of an alarm after the periods of its evaluation range (alarms-and-missing-data.html).

    Enough real data points in the range: the most recent N of them decide. Fewer: what is missing of N is filled as
    TreatMissingData says, and all real ones count.
    """
    real = tuple((at, series[at]) for at in reversed(range_) if at in series)
    filled = max(0, rule.periods - len(real))
    used = real[: rule.periods]
    breaching = sum(rule.breaches(value) for _, value in used)
    if not real:
        return _without_data(rule, current)
    if filled and rule.missing == "breaching":
        breaching += filled
    state = State.ALARM if breaching >= rule.points else State.OK
    if filled and state is State.OK and rule.missing in {"missing", "ignore"} and _too_old(rule, range_, real):
        # "Avoiding premature transitions to alarm state"; the page's tables keep the state with `ignore`.
        state = current if rule.missing == "ignore" else State.ALARM
        breaching = len(used)
    return Verdict(state, _reason(Change(rule, current, state), used, breaching, filled), real)


def _too_old(rule: Rule, range_: Sequence[int], real: tuple[tuple[int, float], ...]) -> bool:
    """All there is breaches, and the oldest of it is at least DatapointsToAlarm periods old (same page)."""
    oldest = (range_[-1] - real[-1][0]) // rule.period + 1
    return all(rule.breaches(value) for _, value in real) and oldest >= rule.points


def _without_data(rule: Rule, current: State) -> Verdict:
    """Not one data point in the evaluation range (same page, third row of its table)."""
    count = f"no datapoints were received for {rule.periods} period{'s' if rule.periods > 1 else ''}"
    if rule.missing == "ignore":
        return Verdict(current, f"Unchanged: {count} and missing data is ignored")
    if rule.missing == "missing":
        return Verdict(State.INSUFFICIENT_DATA, f"Insufficient Data: {count}")
    treated = "[Breaching]" if rule.missing == "breaching" else "[NonBreaching]"
    crossed = rule.missing == "breaching"
    state = State.ALARM if crossed else State.OK
    return Verdict(
        state, f"Threshold Crossed: {count} and {rule.periods} missing datapoints were treated as {treated}."
    )


def _reason(change: Change, used: tuple[tuple[int, float], ...], breaching: int, filled: int) -> str:
    """StateReason, in the words of DescribeAlarms."""
    rule, alarm = change.rule, change.new is State.ALARM
    shown = ", ".join(f"{value} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})" for at, value in used)
    filling = f" and {filled} missing datapoints [treated as {rule.missing}]" if filled else ""
    count = breaching if alarm else len(used) + filled - breaching
    return (
        f"Threshold Crossed: {count} out of the last {len(used) + filled} datapoints [{shown}]{filling} "
        f"{'were' if alarm else 'were not'} {COMPARISONS[rule.comparison][1]} the threshold ({rule.threshold}) "
        f"(minimum {rule.points} datapoints for {change.old.value} -> {change.new.value} transition)."
    )
