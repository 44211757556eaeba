from __future__ import annotations

import random
from dataclasses import replace

import pytest

from rehearsal.emulated_aws.alarms import metric_math
from rehearsal.emulated_aws.alarms.evaluation import Rule, evaluate
from rehearsal.emulated_aws.alarms.evaluation import State as EmulatedState
from simulator.cloudwatch import Alarm, Delays, Metrics, State
from simulator.policies import (
    ARRIVALS,
    IN_FLIGHT,
    KV_USAGE,
    LOAD,
    PROMPT_LOAD,
    QUEUED,
    READY,
    GuardedIn,
    Hpa,
    Kpa,
    TargetTracking,
    View,
    WakeUp,
)
from simulator.recipes import OurNumbers


def _view(metrics: Metrics, desired: int, ready: int | None = None, now: float = 0.0, **more: int) -> View:
    serving = desired if ready is None else ready
    least = more.get("min_size", 1)
    return View(now, metrics, desired, serving, more.get("draining", 0), lambda _warmup: serving, least, 40)


def _published(steps: int, **values: float) -> Metrics:
    metrics = Metrics()
    names = {"in_flight": IN_FLIGHT, "ready": READY, "kv": KV_USAGE, "load": LOAD, "queued": QUEUED, "came": ARRIVALS}
    names["prompts"] = PROMPT_LOAD
    for _ in range(steps):
        metrics.publish({names[key]: value for key, value in values.items()})
    return metrics


@pytest.mark.parametrize("seed", range(20))
def test_an_alarm_says_what_the_emulated_cloudwatch_says(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - made-up data
    period, above = chance.choice([10, 60]), chance.random() < 0.5
    periods = chance.randint(1, 4)
    points = chance.randint(1, periods)
    alarm = Alarm("m", above, 5.0, period, periods, points)
    rule = Rule("GreaterThanThreshold" if above else "LessThanThreshold", 5.0, period, periods, points)
    metrics, state, values = Metrics(), EmulatedState.INSUFFICIENT_DATA, []
    for _ in range(120):
        values.append(float(chance.randint(3, 7)))
        metrics.publish({"m": values[-1]})
        now = len(values) * 10
        if not alarm.due(metrics) or now < periods * period:
            continue
        per = period // 10
        series = {at * 10: sum(values[at : at + per]) / per for at in range(0, len(values), per)}
        window = range(max(now - (periods + 2) * period, 0), now, period)
        state = evaluate(rule, window, series, state).state
        assert alarm.state(metrics).value == state.value


def test_an_alarm_without_any_data_says_so_and_acts_on_nothing() -> None:
    metrics = Metrics()
    for _ in range(20):
        metrics.publish({LOAD: None})
    assert Alarm(LOAD, True, 5.0).state(metrics) is State.INSUFFICIENT_DATA
    assert TargetTracking(LOAD, 5.0, 0, period=10).decide(_view(metrics, 2)) is None


def test_target_tracking_goes_where_the_metric_would_be_at_its_target() -> None:
    policy = TargetTracking(LOAD, 4.0, 60, period=10, scale_in=False)
    assert policy.decide(_view(_published(2, load=16.0), 2)) is None  # three of three, not two
    assert policy.decide(_view(_published(3, load=16.0), 2)) == 8
    assert policy.decide(_view(_published(3, load=16.0), 6, ready=2)) == 8  # those that boot are not added twice
    assert policy.decide(_view(_published(3, load=16.0), 9, ready=2)) == 9
    assert policy.decide(_view(_published(200, load=0.0), 9)) is None


def test_target_tracking_goes_in_by_one_after_a_quarter_of_an_hour() -> None:
    policy = TargetTracking(LOAD, 4.0, 60)
    assert policy.decide(_view(_published(6 * 14, load=0.0), 5)) is None
    assert policy.decide(_view(_published(6 * 15, load=0.0), 5)) == 4


@pytest.mark.parametrize("seed", range(30))
def test_a_worker_leaves_when_the_expression_of_the_stack_says_so(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - made-up data
    target, percent, least = 5.0, 70, chance.choice([0, 1, 2])
    policy = GuardedIn(target * percent / 100, 60, 0.9)
    metrics = Metrics()
    minute = {name: [] for name in ("in_flight", "ready", "kv", "came")}  # type: ignore[var-annotated]
    ready = chance.randint(0, 5)
    for _ in range(6):
        changed = chance.random() < 0.05
        ready = max(ready + changed, 0)
        minute["in_flight"].append(float(chance.randint(0, max(4 * (ready - 1), 1))) if chance.random() < 0.9 else 0.0)
        minute["ready"].append(float(ready))
        minute["kv"].append(chance.choice([0.1, 0.2, 0.85]))
        minute["came"].append(float(chance.randint(0, 1)))
        metrics.publish(
            {IN_FLIGHT: minute["in_flight"][-1], READY: ready, KV_USAGE: minute["kv"][-1], ARRIVALS: minute["came"][-1]}
        )
    share = target * percent / 100
    carry = f"least > {max(least, 1)} AND in_flight < {share:g} * (least - 1) AND kv * least < 90 * (least - 1)"
    enough = carry if least else f"(({carry}) OR (least == 1 AND in_flight < 1 AND rate <= 0))"
    series = {
        "in_flight": {0: max(minute["in_flight"])},
        "least": {0: min(minute["ready"])},
        "most": {0: max(minute["ready"])},
        "kv": {0: 100 * sum(minute["kv"]) / 6},
        "rate": {0: max(minute["came"])},
        "leaving": {0: 0.0},
    }
    text = f"IF(most == least AND FILL(leaving, 0) < 1 AND {enough}, 1, 0)"
    says = metric_math.Math([0], 60, series, {"may_leave": text}).series("may_leave")[0]
    decided = policy.decide(_view(metrics, ready, min_size=least))
    assert decided == (ready - 1 if says and ready > least else None)


def test_nobody_leaves_before_the_quiet_time_is_over() -> None:
    policy, metrics = GuardedIn(3.5, 180, 0.9), Metrics()
    decided = []
    for _ in range(18):
        metrics.publish({IN_FLIGHT: 3.0, READY: 3.0, KV_USAGE: 0.1, ARRIVALS: 1.0})
        decided.append(policy.decide(_view(metrics, 3)))
    assert decided[:17] == [None] * 17
    assert decided[17] == 2


@pytest.mark.parametrize(("prompts", "leaves"), [(36.0, True), (37.0, False), (None, True)])
def test_nobody_leaves_whose_prompts_would_be_too_much_for_the_others(prompts: float | None, leaves: bool) -> None:
    policy, metrics = GuardedIn(3.5, 60, 0.9, prompt_load=55.0), Metrics()
    for _ in range(6):
        metrics.publish({IN_FLIGHT: 1.0, READY: 3.0, KV_USAGE: 0.1, ARRIVALS: 1.0, PROMPT_LOAD: prompts})
    assert policy.decide(_view(metrics, 3)) == (2 if leaves else None)


def test_our_policy_goes_out_on_whichever_load_asks_for_more() -> None:
    def decided(numbers: OurNumbers, **values: float) -> int | None:
        return numbers.policy().decide(_view(_published(3, in_flight=99, ready=2, kv=0, came=1, **values), 2))

    numbers = OurNumbers(8.0, 120, 0.85, 0.9, 120, 65.0)
    assert decided(numbers, load=4.0, prompts=130.0) == 4
    assert decided(numbers, load=24.0, prompts=130.0) == 6
    assert decided(numbers, load=4.0, prompts=64.0) is None
    assert decided(replace(numbers, target_prompt_load=0.0), load=4.0, prompts=130.0) is None


def test_an_empty_pool_wakes_up_for_a_request() -> None:
    assert WakeUp().decide(_view(_published(1, came=1.0), 0)) == 1
    assert WakeUp().decide(_view(_published(1, came=0.0), 0)) is None
    assert WakeUp().decide(_view(_published(1, came=5.0), 2)) is None


def test_the_pod_autoscaler_doubles_at_most_and_waits_before_it_goes_in() -> None:
    policy = Hpa(QUEUED, 1.0, total=True)
    assert policy.decide(_view(_published(1, queued=100.0), 10, now=0)) == 20
    assert policy.decide(_view(_published(1, queued=0.0), 20, now=290)) == 20
    assert policy.decide(_view(_published(1, queued=0.0), 20, now=310)) == 1


def test_knative_panics_at_twice_what_is_ready() -> None:
    policy, metrics = Kpa(2.0), _published(5, in_flight=4.0)
    assert policy.decide(_view(metrics, 2)) == 2
    metrics.publish({IN_FLIGHT: 16.0})
    assert policy.decide(_view(metrics, 2, now=10)) == 8
    metrics.publish({IN_FLIGHT: 0.0})
    assert policy.decide(_view(metrics, 8, now=20)) == 8


def test_delays_are_whole_steps() -> None:
    assert [Delays(0, 0).steps, Delays(10, 0).steps, Delays(10, 5).steps] == [0, 1, 2]
