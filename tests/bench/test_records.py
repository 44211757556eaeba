from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bench.plot import in_flight
from bench.records import RECORDS_FILE, RecordsFile, Sample, read_record
from bench.result import BROKEN, judged, summarize

if TYPE_CHECKING:
    from pathlib import Path


def record(metrics: dict[str, Any], *, error: dict[str, Any] | None = None, **metadata: Any) -> str:
    """A line as AIPerf 0.13.0 writes it, cut to what is read (and one metric that is not)."""
    shown = {"request_start_ns": 2_000_000_000, "request_end_ns": 3_500_000_000, "was_cancelled": False, **metadata}
    values = {name: {"value": value, "unit": "any"} for name, value in {"http_req_waiting": 3, **metrics}.items()}
    return json.dumps({"metadata": shown, "metrics": values, **({"error": error} if error else {})})


WHOLE = {
    "time_to_first_token": 185.5,
    "inter_token_latency": 6.25,
    "inter_chunk_latency": [6.0, 7.0],
    "usage_prompt_tokens": 717,
    "usage_completion_tokens": 22,
    "usage_prompt_cache_read_tokens": 496,
}


def test_a_record_is_read_in_seconds_and_tokens() -> None:
    assert read_record(record(WHOLE)) == Sample(2.0, 3.5, 0.1855, 0.00625, 717, 22, 496)


def test_without_token_counts_the_time_between_chunks_stands_for_that_between_tokens() -> None:
    sample = read_record(record({"time_to_first_token": 10, "inter_chunk_latency": [6.0, 7.0]}))
    assert sample == Sample(2.0, 3.5, 0.010, 0.0065)


def test_errors_that_differ_in_numbers_are_one_kind() -> None:
    error = {"code": 400, "type": "Bad Request", "message": "input of 812\n tokens"}
    sample = read_record(record({}, error=error))
    assert sample == Sample(2.0, 3.5, error="400 Bad Request input of # tokens")


def test_what_the_end_of_the_run_cancelled_does_not_count() -> None:
    assert read_record(record(WHOLE, was_cancelled=True)) is None
    assert read_record(record(WHOLE, benchmark_phase="warmup")) is None


def test_a_line_of_something_else_is_not_read_as_zeros() -> None:
    with pytest.raises(ValueError, match="request_start_ns"):
        read_record('{"metadata": {}, "metrics": {}}')


def test_a_growing_file_is_read_line_by_line_and_only_once(tmp_path: Path) -> None:
    records, line = RecordsFile(tmp_path), record(WHOLE)
    assert records.look() == []
    with (tmp_path / RECORDS_FILE).open("w") as file:
        file.write(line + "\n" + line[:20])
        file.flush()
        assert len(records.look()) == 1
        assert records.look() == []
        file.write(line[20:] + "\n")
    assert len(records.look()) == 1


def test_the_result_counts_errors_and_measures_the_rest() -> None:
    good = [Sample(n, n + 1, 0.1 * (n + 1), 0.01, 100, 10, 25 * n) for n in range(4)]
    result = summarize([*good, Sample(4, 8, error="503 busy"), Sample(0, 1, error="503 busy")])
    assert (result.requests, result.errors, result.error_kinds) == (6, 2, {"503 busy": 2})
    assert (result.seconds, result.request_rate) == (8, 0.5)
    assert (result.prompt_tokens, result.output_tokens, result.output_rate) == (400, 40, 5)
    assert result.cached_share == pytest.approx(150 / 400)
    assert result.first_token is not None
    assert (result.first_token.p50, result.first_token.highest) == pytest.approx((0.25, 0.4))
    assert result.latency is not None
    assert result.latency.mean == 1


def test_what_no_server_told_is_unknown_and_not_zero() -> None:
    result = summarize([Sample(0, 1, 0.1, 0.01)])
    assert (result.prompt_tokens, result.output_rate, result.cached_share) == (None, None, None)
    nothing = summarize([])
    assert (nothing.requests, nothing.request_rate, nothing.latency) == (0, 0, None)


def test_a_stream_without_counts_broke_off_where_others_have_them() -> None:
    whole, broken = Sample(0, 1, 0.1, 0.01, 10, 5), Sample(0, 1, 0.1, 0.01)
    refused = Sample(0, 1, error="503")
    assert [sample.error for sample in judged([whole, broken, refused])] == [None, BROKEN, "503"]
    assert judged([broken, broken]) == [broken, broken]


def test_requests_in_flight_at_each_change() -> None:
    times, counts = in_flight([Sample(0, 2), Sample(1, 3), Sample(3, 4)])
    # At 3 one ends before the other starts: nobody is counted twice.
    assert (times, counts) == ([0, 1, 2, 3, 3, 4], [1, 2, 1, 0, 1, 0])
