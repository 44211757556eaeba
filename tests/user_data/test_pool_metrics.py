from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.user_data.test_load import PAGE
from user_data import metrics
from user_data.agent.aws import FleetView, Worker
from user_data.agent.datum import Value
from user_data.agent.distribution import Distribution
from user_data.agent.engine_page import EngineReading
from user_data.agent.load import Samples
from user_data.agent.pool_metrics import History, Now, PoolReading, pool_data, pool_readings, remember
from user_data.agent.router_page import RouterReading, read_router

ONE, TWO, THREE = (f"http://10.0.0.{number}:30000" for number in (1, 2, 3))
SAMPLES = Samples({ONE: 3.0, TWO: 1.0}, frozenset({ONE, TWO, THREE}))
ALWAYS = {metrics.IN_FLIGHT, metrics.READY_WORKERS, metrics.LOAD}
IDLE = EngineReading(0, 0)

# Lines of smg 1.13.0 with three models; an engine of B fails each request, C refuses what it is asked, D is gone.
REQUESTS_PAGE = """\
smg_router_requests_total{router_type="http",model="A",endpoint="chat",streaming="false"} 6
smg_router_requests_total{router_type="http",model="A",endpoint="chat",streaming="true"} 2
smg_router_requests_total{router_type="http",model="other",endpoint="chat",streaming="false"} 1
smg_router_request_errors_total{router_type="http",model="B",endpoint="chat",error_type="backend_error"} 3
smg_router_request_errors_total{router_type="http",model="C",endpoint="chat",error_type="validation_error"} 3
smg_router_request_errors_total{router_type="http",model="D",endpoint="chat",error_type="unavailable"} 2
smg_router_request_errors_total{router_type="http",model="other",endpoint="chat",error_type="no_workers"} 1
smg_http_responses_total{path="/v1/chat/completions",status_code="500",error_code=""} 3
smg_http_responses_total{path="/generate",status_code="503",error_code="no_available_workers"} 2
smg_http_responses_total{path="/v1/chat/completions",status_code="200",error_code=""} 6
smg_http_responses_total{path="/readiness",status_code="503",error_code=""} 50
smg_worker_requests_total{worker="http://10.0.0.1:30000",model="A"} 9
"""


def _worker(number: int, pool: str = "p", model: str = "A") -> Worker:
    return Worker(f"i-{number}", pool, model, 30000, "InService", healthy=True, address=f"10.0.0.{number}")


VIEW = FleetView(("p",), (_worker(1), _worker(2)), {"p": "A"})


def _router(failed: float = 0, sent: dict[str, float] | None = None, **requests: float) -> RouterReading:
    return RouterReading(SAMPLES, requests, {}, sent or {}, failed)


def _engine(
    queued: float = 0, hit: float = 0, miss: float = 0, ttft: dict[float, float] | None = None
) -> EngineReading:
    return EngineReading(1, queued, 0.1, 10, hit, miss, ttft or {}, {})


def _two(
    first: RouterReading,
    second: RouterReading,
    view: FleetView = VIEW,
    engines: tuple[dict[str, EngineReading], dict[str, EngineReading]] = ({}, {}),
    seconds: float = 10,
) -> dict[str, PoolReading]:
    """Both readings, and what follows from the second one."""
    urls = [worker.url for worker in view.in_service if worker.url]
    history = remember(History(), Now(100, first, engines[0]), urls)
    readings = pool_readings(history, Now(100 + seconds, second, engines[1]), view)
    return {reading.load.pool: reading for reading in readings}


def _values(readings: dict[str, PoolReading], metric: metrics.Metric) -> dict[str, Value | None]:
    return {pool: reading.values.get(metric) for pool, reading in readings.items()}


def test_the_routers_counters_are_read() -> None:
    reading = read_router(PAGE + REQUESTS_PAGE)
    assert reading.requests == {"A": 8, "other": 1}
    assert reading.errors == {"B": 3, "D": 2}
    assert reading.failed == 5
    assert reading.sent == {ONE: 9}
    assert reading.samples.healthy == {ONE, TWO}


def test_rates_are_over_the_seconds_between_two_readings() -> None:
    for seconds, rate in ((10, 2.0), (20, 1.0)):
        readings = _two(_router(A=100), _router(A=120), seconds=seconds)
        assert _values(readings, metrics.REQUEST_RATE) == {"p": rate}
        assert _values(readings, metrics.ERROR_RATE) == {"p": 0.0}


def test_a_restarted_router_begins_at_zero() -> None:
    assert _values(_two(_router(A=100, failed=50), _router(A=30)), metrics.REQUEST_RATE) == {"p": 3.0}
    assert _values(_two(_router(A=100, failed=50), _router(A=30)), metrics.ERROR_RATE) == {"p": 0.0}


@pytest.mark.parametrize("seconds", [36, 300, 0])
def test_after_too_long_a_gap_there_is_no_rate(seconds: float) -> None:
    engines = ({ONE: _engine()}, {ONE: _engine(hit=5, miss=5, ttft={1: 1.0, math.inf: 1.0})})
    reading = _two(_router(), _router(A=20), engines=engines, seconds=seconds)["p"]
    assert set(reading.values) == {*ALWAYS, metrics.QUEUED}


def test_the_first_reading_has_no_rates() -> None:
    (reading,) = pool_readings(History(), Now(100, _router(A=50), {ONE: _engine(queued=4)}), VIEW)
    assert reading.values == {
        metrics.IN_FLIGHT: 4.0,
        metrics.QUEUED: 4.0,
        metrics.READY_WORKERS: 2.0,
        metrics.LOAD: 2.0,
    }


def test_errors_the_router_names_no_model_of_go_where_requests_came_in() -> None:
    view = FleetView(("p", "q"), (_worker(1), _worker(3, "q", "B")), {"p": "A", "q": "B"})
    readings = _two(_router(), _router(failed=4, A=10, B=30), view)
    assert _values(readings, metrics.ERROR_RATE) == {"p": 10.0, "q": 10.0}


def test_errors_of_a_model_are_its_pools() -> None:
    view = FleetView(("p", "q"), (_worker(1), _worker(3, "q", "B")), {"p": "A", "q": "B"})
    second = RouterReading(SAMPLES, {"A": 10.0, "B": 4.0}, {"B": 4.0}, {}, 4.0)
    assert _values(_two(_router(), second, view), metrics.ERROR_RATE) == {"p": 0.0, "q": 100.0}


def test_late_errors_are_a_hundred_percent_and_not_more() -> None:
    assert _values(_two(_router(A=1), _router(failed=3, A=1)), metrics.ERROR_RATE) == {"p": 100.0}


def test_pools_of_one_model_share_its_requests_as_they_were_sent() -> None:
    view = FleetView(("p", "q"), (_worker(1), _worker(3, "q")), {"p": "A", "q": "A"})
    second = _router(A=40, sent={ONE: 30.0, THREE: 10.0})
    assert _values(_two(_router(), second, view), metrics.REQUEST_RATE) == {"p": 3.0, "q": 1.0}
    assert _values(_two(_router(), _router(A=40), view), metrics.REQUEST_RATE) == {"p": 2.0, "q": 2.0}


def test_requests_for_models_that_nobody_serves_count_for_pools_without_workers() -> None:
    view = FleetView(("p", "zero"), (_worker(1),), {"p": "A", "zero": "B"})
    readings = _two(_router(), _router(A=10, other=20), view)
    assert _values(readings, metrics.REQUEST_RATE) == {"p": 1.0, "zero": 2.0}


def test_latencies_and_hits_are_those_of_all_engines_since_the_last_reading() -> None:
    before = {ONE: _engine(hit=100, miss=100, ttft={1: 5.0, math.inf: 5.0}), TWO: _engine()}
    after = {
        ONE: _engine(hit=1300, miss=1100, ttft={1: 6.0, math.inf: 6.0}),
        TWO: _engine(hit=0, miss=800, ttft={1: 1.0, math.inf: 1.0}),
    }
    reading = _two(_router(), _router(), engines=(before, after))["p"]
    assert reading.values[metrics.CACHE_HIT_RATE] == 40.0
    assert reading.values[metrics.TIME_TO_FIRST_TOKEN] == Distribution({1: 2.0})
    assert metrics.INTER_TOKEN_LATENCY not in reading.values


def test_without_requests_there_is_no_latency_and_no_share_of_hits() -> None:
    same = {ONE: _engine(hit=100, miss=100, ttft={1: 5.0, math.inf: 5.0})}
    reading = _two(_router(), _router(), engines=(same, same))["p"]
    assert set(reading.values) == {*ALWAYS, metrics.QUEUED, metrics.REQUEST_RATE, metrics.ERROR_RATE}


def test_probes_alone_are_no_prompts() -> None:
    probed = {ONE: _engine(miss=40), TWO: _engine(hit=30, miss=30)}
    engines = ({ONE: _engine(), TWO: _engine()}, probed)
    assert _values(_two(_router(), _router(), engines=engines), metrics.CACHE_HIT_RATE) == {"p": None}
    asked = {ONE: _engine(miss=40), TWO: _engine(hit=90, miss=30)}
    readings = _two(_router(), _router(), engines=(engines[0], asked))
    assert _values(readings, metrics.CACHE_HIT_RATE) == {"p": 75.0}


def test_an_engine_that_missed_readings_loses_none_of_its_observations() -> None:
    urls = [ONE]
    view = FleetView(("p",), (_worker(1),), {"p": "A"})
    history = remember(History(), Now(100, _router(), {ONE: _engine(miss=10)}), urls)
    history = remember(history, Now(110, _router(), {}), urls)
    now = Now(120, _router(), {ONE: _engine(hit=900, miss=110)})
    (reading,) = pool_readings(history, now, view)
    assert reading.values[metrics.CACHE_HIT_RATE] == 90.0
    assert remember(history, now, []).engines == {}


def test_engines_that_all_stay_silent_do_not_say_zero() -> None:
    assert _values(_two(_router(), _router(), engines=({}, {TWO: _engine(queued=2)})), metrics.QUEUED) == {"p": 2.0}
    assert _values(_two(_router(), _router()), metrics.QUEUED) == {"p": None}


def test_without_workers_everything_is_zero() -> None:
    reading = _two(_router(), _router(), FleetView(("p",), (), {"p": "A"}))["p"]
    zeros = {*ALWAYS, metrics.QUEUED, metrics.REQUEST_RATE, metrics.ERROR_RATE}
    assert reading.values == dict.fromkeys(zeros, 0.0)


def test_what_cloudwatch_is_given() -> None:
    now = datetime(2026, 12, 1, 8, 0, 5, tzinfo=UTC)
    engines = ({ONE: _engine()}, {ONE: _engine(ttft={1: 1.0, math.inf: 3.0})})
    data = pool_data(_two(_router(), _router(A=5), engines=engines).values(), "fleet", now)
    by_name = {datum["MetricName"]: datum for datum in data}
    common: dict[str, Any] = {
        "Dimensions": [{"Name": "Deployment", "Value": "fleet"}, {"Name": "Pool", "Value": "p"}],
        "Timestamp": now,
        "StorageResolution": 1,
    }
    assert by_name["RequestRate"] == {**common, "MetricName": "RequestRate", "Unit": "Count/Second", "Value": 0.5}
    assert by_name["TimeToFirstToken"] == {
        **common,
        "MetricName": "TimeToFirstToken",
        "Unit": "Seconds",
        "Values": [1],
        "Counts": [3.0],
    }


def test_all_pool_metrics_can_be_published() -> None:
    both = {1: 1.0, math.inf: 1.0}
    engine = EngineReading(1, 1, 0.1, 10, 500, 500, both, both)
    reading = _two(_router(), _router(A=5), engines=({ONE: IDLE}, {ONE: engine}))["p"]
    assert set(reading.values) == set(metrics.POOL_METRICS)


COUNTERS = st.floats(0, 1e9)


@given(st.lists(st.tuples(COUNTERS, COUNTERS, COUNTERS, COUNTERS), min_size=2, max_size=2), st.floats(0.1, 35))
def test_whatever_the_counters_do_the_values_can_be(counters: list[tuple[float, ...]], seconds: float) -> None:
    readings = [
        (_router(failed=failed, A=requests), {ONE: _engine(hit=hit, miss=miss)})
        for requests, failed, hit, miss in counters
    ]
    engines = (readings[0][1], readings[1][1])
    values = _two(readings[0][0], readings[1][0], engines=engines, seconds=seconds)["p"].values
    assert all(isinstance(value, Distribution) or math.isfinite(value) for value in values.values())
    for metric in (metrics.ERROR_RATE, metrics.CACHE_HIT_RATE):
        share = values.get(metric, 0.0)
        assert isinstance(share, float)
        assert 0 <= share <= 100.000001
