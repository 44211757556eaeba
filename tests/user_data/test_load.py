from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_data.agent.aws import Worker
from user_data.agent.load import PoolLoad, Samples, loads, parse_samples, until_next

# Lines of smg 1.13.0 with three workers: the first was never asked, the third fails its health checks.
PAGE = """\
# HELP smg_worker_pool_size Current worker pool size by worker_type, connection_mode, model
# TYPE smg_worker_pool_size gauge
smg_worker_pool_size{worker_type="regular",connection_mode="http",model="m"} 3
smg_worker_cb_state{worker="http://10.0.0.1:30000"} 0
# HELP smg_worker_health Worker health status (1=healthy, 0=unhealthy)
# TYPE smg_worker_health gauge
smg_worker_health{worker="http://10.0.0.1:30000"} 1
smg_worker_health{worker="http://10.0.0.2:30000"} 1
smg_worker_health{worker="http://10.0.0.3:30000"} 0
smg_worker_health_checks_total{worker_type="regular",result="success"} 9
# HELP smg_worker_requests_active Currently running requests per worker
# TYPE smg_worker_requests_active gauge
smg_worker_requests_active{worker="http://10.0.0.2:30000"} 1
smg_worker_requests_active{worker="http://10.0.0.3:30000"} 6
"""
ONE, TWO, THREE = (f"http://10.0.0.{number}:30000" for number in (1, 2, 3))


def _worker(number: int, pool: str = "default", state: str = "InService", *, healthy: bool = True) -> Worker:
    return Worker(f"i-{number}", pool, "m", 30000, state, healthy=healthy, address=f"10.0.0.{number}")


def test_the_routers_page_is_read() -> None:
    assert parse_samples(PAGE) == Samples(active={TWO: 1.0, THREE: 6.0}, healthy=frozenset({ONE, TWO}))


def test_further_labels_do_no_harm() -> None:
    line = f'smg_worker_requests_active{{model="m",worker="{ONE}",kind="regular"}} 2.5e1\n'
    assert parse_samples(line).active == {ONE: 25.0}


@pytest.mark.parametrize("value", ["many", "NaN", "-1", "+Inf", "1e300"])
def test_a_value_that_is_no_count_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=re.escape(value)):
        parse_samples(f'smg_worker_requests_active{{worker="{ONE}"}} {value}\n')


def test_all_requests_are_shared_by_the_ready_workers() -> None:
    (load,) = loads(parse_samples(PAGE), map(_worker, (1, 2, 3)), ["default"])
    assert load == PoolLoad("default", active=7.0, ready=2, in_service=3)
    assert load.per_worker == 3.5


def test_without_a_ready_worker_those_in_service_share() -> None:
    (load,) = loads(Samples(active={ONE: 4.0}, healthy=frozenset()), map(_worker, (1, 2)), ["default"])
    assert (load.ready, load.per_worker) == (0, 2.0)


def test_every_pool_has_a_value_zeros_too_and_its_own() -> None:
    workers = [_worker(1, "idle"), _worker(2, "busy")]
    measured = loads(parse_samples(PAGE), workers, ["busy", "empty", "idle"])
    assert [(load.pool, load.per_worker) for load in measured] == [("busy", 1.0), ("empty", 0.0), ("idle", 0.0)]


@pytest.mark.parametrize(
    "leaving", [_worker(2, state="Terminating:Wait"), _worker(2, healthy=False), _worker(2, state="Standby")]
)
def test_workers_out_of_service_count_neither_way(leaving: Worker) -> None:
    (load,) = loads(Samples({ONE: 3.0, TWO: 50.0}, frozenset({ONE, TWO})), [_worker(1), leaving], ["default"])
    assert load == PoolLoad("default", active=3.0, ready=1, in_service=1)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=9))
def test_more_ready_workers_never_raise_the_load(state: list[tuple[int, bool]]) -> None:
    workers = [_worker(number) for number in range(len(state))]
    active = {f"http://10.0.0.{number}:30000": float(count) for number, (count, _) in enumerate(state)}
    ready = frozenset(url for (url, _), (_, up) in zip(active.items(), state, strict=True) if up)
    (load,) = loads(Samples(active, ready), workers, ["default"])
    (all_ready,) = loads(Samples(active, frozenset(active)), workers, ["default"])
    assert 0 <= all_ready.per_worker <= load.per_worker <= load.active == sum(count for count, _ in state)


@pytest.mark.parametrize(
    ("now", "wait"),
    [
        (1000.0, 5.0),
        (1004.5, 10.5),  # woken early: this period has its value
        (1005.0, 10.0),
        (1005.2, 9.8),
        (1012.0, 3.0),  # a slow call: the next period gets its value all the same
    ],
)
def test_the_next_value_is_in_the_middle_of_a_period(now: float, wait: float) -> None:
    assert until_next(now) == pytest.approx(wait)
