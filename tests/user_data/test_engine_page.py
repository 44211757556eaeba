from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.user_data.engine_pages import GARBAGE, GOOD
from user_data.agent.engine_page import EnginePageError, EngineReading, read_engine


def test_an_engines_page_is_read() -> None:
    assert read_engine(GOOD) == EngineReading(
        running=3,
        queued=2,
        kv_usage=0.25,
        throughput=120.5,
        cached_tokens=10,
        computed_tokens=30,
        ttft={0.1: 1, math.inf: 2},  # the probes do not stream
        inter_token={0.06: 7, math.inf: 7},
        answers=5,
        answered_prompt_tokens=35,
        answer_tokens=60,
    )


def test_several_ranks_are_one_engine() -> None:
    second = GOOD.replace('tp_rank="0"', 'tp_rank="1"').replace("} 0.25", "} 0.75")
    reading = read_engine(GOOD + second)
    assert (reading.running, reading.queued, reading.kv_usage, reading.throughput) == (6, 4, 0.5, 241)


def test_an_engine_need_not_tell_more_than_its_requests() -> None:
    few = "sglang:num_running_reqs 1\nsglang:num_queue_reqs 0\n"
    assert read_engine(few) == EngineReading(running=1, queued=0)


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_page_that_cannot_be_is_refused_as_a_whole(kind: str) -> None:
    with pytest.raises(EnginePageError, match=r"^/metrics: "):
        read_engine(GARBAGE[kind])


VALUES = st.one_of(st.floats().map(str), st.integers().map(str), st.text(max_size=8))


@given(st.lists(st.tuples(st.integers(0, GOOD.count("\n") - 1), VALUES), max_size=4), st.text(max_size=20))
def test_garbage_is_refused_or_becomes_numbers_that_can_be(faults: list[tuple[int, str]], rest: str) -> None:
    lines = GOOD.splitlines()
    for index, value in faults:
        lines[index] = f"{lines[index].rpartition(' ')[0]} {value}"
    try:
        reading = read_engine("\n".join([*lines, rest]))
    except EnginePageError:
        return
    assert 0 <= reading.running <= 1e6
    assert 0 <= reading.queued <= 1e6
    assert reading.kv_usage is None or 0 <= reading.kv_usage <= 1
    for buckets in (reading.ttft, reading.inter_token):
        assert list(buckets.values()) == sorted(buckets.values())
        assert all(math.isfinite(count) for count in buckets.values())
