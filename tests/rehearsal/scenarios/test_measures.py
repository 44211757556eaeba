from __future__ import annotations

import pytest

from rehearsal.scenarios.measures import (
    first_byte_percentiles,
    first_served,
    last_end,
    last_sent,
    prefix_hit_rate,
    sent_between,
    share_by_worker,
    streaming_from,
)
from tests.rehearsal.scenarios.support import WORKER, lost, record

RECORDS = (
    record("a", sent=10.0, ended=15.0, worker="w1"),
    record("b", sent=20.0, ended=80.0, worker="w2", first_byte=20.2),
    record("c", sent=30.0, ended=35.0, worker="w1"),
    record("d", sent=40.0, ended=41.0, worker="w1"),
    lost("e", sent=45.0, ended=50.0, worker=None),
)


def test_a_window_holds_its_beginning_and_not_its_end() -> None:
    assert [r.id for r in sent_between(RECORDS, 20.0, 40.0)] == ["b", "c"]


def test_shares_are_of_the_requests_whose_worker_is_known() -> None:
    assert share_by_worker(RECORDS) == {"w1": 0.75, "w2": 0.25}
    assert share_by_worker([]) == {}


def test_the_hit_rate_weighs_by_tokens_and_leaves_out_what_reports_none() -> None:
    records = [
        record("a", prompt_tokens=100, cached_tokens=100),
        record("b", prompt_tokens=300, cached_tokens=0),
        record("c", prompt_tokens=900, cached_tokens=None),
        record("d", prompt_tokens=None, cached_tokens=None),
    ]
    assert prefix_hit_rate(records) == 0.25
    assert prefix_hit_rate(records[2:]) is None


def test_the_first_served_request_is_the_first_sent_after_the_time_that_was_answered() -> None:
    records = (
        *RECORDS,
        record("x", sent=21.0, worker="w1", status=503),
        record("y", sent=22.0, worker="w1", first_byte=None),
    )
    found = first_served(records, "w1", 20.0)
    assert found is not None
    assert found.id == "c"
    assert first_served(records, "w2", 20.5) is None


def test_the_end_in_routing_and_the_end_of_the_last_answer() -> None:
    assert last_sent(RECORDS, "w1", before=100.0) == 40.0
    assert last_sent(RECORDS, "w1", before=40.0) == 30.0
    assert last_end(RECORDS, "w2", sent_before=30.0) == 80.0
    assert last_end(RECORDS, "w2", sent_before=20.0) is None
    assert last_sent(RECORDS, "w3", before=100.0) is None


def test_streams_on_a_worker_at_a_time_are_those_that_got_text_from_it() -> None:
    records = [
        record("cut", sent=10.0, ended=20.0),
        record("over", sent=10.0, ended=14.0),
        record("later", sent=16.0, ended=20.0),
        record("mute", sent=10.0, ended=20.0, first_byte=None),
        record("plain", sent=10.0, ended=20.0, streamed=False),
        record("elsewhere", sent=10.0, ended=20.0, worker="w2"),
    ]
    assert [item.id for item in streaming_from(records, WORKER, 15.0)] == ["cut"]


def test_percentiles_are_of_streams_that_began() -> None:
    waits = [record(str(n), sent=10.0, first_byte=10.0 + n) for n in range(1, 101)]
    others = [record("plain", streamed=False, first_byte=900.0), record("mute", first_byte=None)]
    assert first_byte_percentiles([*waits, *others]) == pytest.approx({50: 50.0, 90: 90.0, 99: 99.0})
    assert first_byte_percentiles(waits[:1], (1, 100)) == pytest.approx({1: 1.0, 100: 1.0})
    assert first_byte_percentiles(others) == {}
