from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import SettingsError
from simulator.traces import Chunk, RateTrace, Trace, read
from simulator.traces.chunk import joined
from tests.simulator.workloads import shared_prefixes

MOONCAKE = [
    {"timestamp": 1000, "input_length": 1100, "output_length": 5, "hash_ids": [0, 1, 2]},
    {"timestamp": 1000, "input_length": 512, "output_length": 7, "hash_ids": [3]},
    {"timestamp": 4500, "input_length": 100, "output_length": 9, "hash_ids": [4]},
]
AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 23:59:59.9799600,4808,10
2023-11-17 00:00:01.0319600,3180,8
"""
RATES = "start_seconds,requests_per_second,prompt_tokens,output_tokens\n0,10,100,20\n600,0,100,20\n1200,5,400,50\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "trace"
    path.write_text(text, encoding="utf-8")
    return path


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def all_of(trace: Trace | RateTrace) -> Chunk:
    assert isinstance(trace, Trace)
    return joined(trace.chunks())


def test_mooncake_keeps_whole_blocks_and_counts_time_from_the_first_request(tmp_path: Path) -> None:
    trace = read(written(tmp_path, lines(*MOONCAKE)))
    chunk = all_of(trace)
    assert chunk.arrival.tolist() == [0.0, 0.0, 3.5]
    assert chunk.prompt.tolist() == [1100, 512, 100]
    assert chunk.output.tolist() == [5, 7, 9]
    assert chunk.blocks.tolist() == [0, 1, 3]
    assert chunk.offsets.tolist() == [0, 2, 3, 3]
    assert isinstance(trace, Trace)
    assert trace.block_tokens == 512


def test_azure_timestamps_have_seven_decimals_and_may_have_a_zone(tmp_path: Path) -> None:
    plain = all_of(read(written(tmp_path, AZURE)))
    zoned = all_of(read(written(tmp_path, AZURE.replace("00,", "+00:00,"))))
    for chunk in (plain, zoned):
        assert chunk.arrival.tolist() == pytest.approx([0.0, 1.052], abs=1e-6)
        assert chunk.prompt.tolist() == [4808, 3180]
        assert chunk.output.tolist() == [10, 8]


def test_rates_become_as_many_requests_of_that_size(tmp_path: Path) -> None:
    rates = read(written(tmp_path, RATES))
    assert isinstance(rates, RateTrace)
    assert rates.ends.tolist() == [600, 1200, 1800]
    chunk = all_of(rates.arrivals(seed=1))
    early, late = chunk.arrival < 600, chunk.arrival >= 1200
    assert early.sum() == pytest.approx(6000, rel=0.05)
    assert late.sum() == pytest.approx(3000, rel=0.05)
    assert early.sum() + late.sum() == len(chunk)
    assert chunk.prompt[early].mean() == pytest.approx(100, rel=0.1)
    assert chunk.output[late].mean() == pytest.approx(50, rel=0.1)
    again = RateTrace.of(rates.arrivals(seed=1), 600)
    assert again.rates.tolist() == pytest.approx([10, 0, 5], rel=0.05)
    assert again.prompt.tolist() == pytest.approx([100, 100, 400], rel=0.1)


def test_rates_without_sizes_have_those_of_azure_conversations(tmp_path: Path) -> None:
    rates = read(written(tmp_path, "start_seconds,requests_per_second\n0,2\n"))
    assert isinstance(rates, RateTrace)
    assert (rates.prompt[0], rates.output[0], rates.requests) == (1155, 211, 1200)


FAULTS = [
    (
        lines(MOONCAKE[0], MOONCAKE[1] | {"input_length": "x"}),
        ":2 input_length: 'x' must be a number; correct the line",
    ),
    (
        lines(MOONCAKE[0] | {"output_length": 0}),
        ":1 output_length: 0 must be a finite number from 1 on; correct the line",
    ),
    (
        lines(MOONCAKE[0] | {"output_length": 1.5}),
        ":1 output_length: 1.5 must be a whole number of tokens up to 1000000000; correct the line",
    ),
    (
        lines(MOONCAKE[1] | {"hash_ids": [1, 2]}),
        ":1 hash_ids: 2 are more ids than 512 tokens have blocks of 512; correct the line",
    ),
    (
        lines(MOONCAKE[1] | {"hash_ids": [None]}),
        ":1 hash_ids: [null] must be a list of whole numbers; correct the line",
    ),
    (lines(MOONCAKE[2], MOONCAKE[1]), ":2 time: -3.5 comes before the line above it; sort the file by arrival"),
    (lines(MOONCAKE[0]) + "{oops\n", ":2: '{oops' is no JSON object; correct the line"),
    (
        AZURE + "yesterday,1,1\n",
        "TIMESTAMP: 'yesterday' must be a time like 2023-11-16 18:15:46.6805900; correct the line",
    ),
    (AZURE + "2023-11-17 00:00:02\n", ":4 ContextTokens: must be a number; correct the line"),
    (AZURE.splitlines()[0] + "\n", ": has no request; add some, or use another file"),
    ("start_seconds,requests_per_second\n", ": has no interval; add lines below the header"),
    (
        "start_seconds,requests_per_second\n5,1\n5,1\n",
        ":3 start_seconds: 5.0 must be above 5 of the line above; correct the line",
    ),
    (
        "start_seconds,requests_per_second\n0,nan\n",
        ":2 requests_per_second: 'nan' must be a finite number from 0 on; correct the line",
    ),
    ("a,b\n1,2\n", ":1: 'a,b' is neither a JSON object (Mooncake) nor a header with TIMESTAMP, ContextTokens"),
    ("", ":1: '' is neither a JSON object"),
]


@pytest.mark.parametrize(("text", "sentence"), FAULTS)
def test_a_fault_names_file_line_value_rule_and_remedy(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        all_of(read(path))
    assert str(caught.value).startswith(str(path))
    assert sentence in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is neither a JSON object"):
        read(tmp_path / "bytes")


@pytest.mark.parametrize("factor", [0.3, 2.0, 3.6])
def test_scaling_the_rate_keeps_order_course_and_sizes(factor: float) -> None:
    base = shared_prefixes(0, requests=5000)
    plain, scaled = all_of(base), all_of(base.scaled(rate=factor, seed=7))
    assert len(scaled) == pytest.approx(factor * len(plain), rel=0.05)
    assert (np.diff(np.concatenate([chunk.arrival for chunk in base.scaled(rate=factor, seed=7).chunks()])) >= 0).all()
    assert scaled.arrival[-1] <= plain.arrival[-1] + 60
    assert scaled.prompt.mean() == pytest.approx(plain.prompt.mean(), rel=0.2)
    np.testing.assert_array_equal(scaled.arrival, all_of(base.scaled(rate=factor, seed=7)).arrival)
    assert all_of(base.scaled(rate=factor, seed=8)).arrival.tolist() != scaled.arrival.tolist()


def test_each_copy_has_requests_and_blocks_of_its_own() -> None:
    base = shared_prefixes(0)
    plain, scaled = all_of(base), all_of(base.scaled(rate=3))
    assert len(scaled) == 3 * len(plain)
    assert len(np.unique(scaled.blocks)) == 3 * len(np.unique(plain.blocks))
    original = scaled.taken(np.flatnonzero(np.isin(scaled.arrival, plain.arrival)))
    np.testing.assert_array_equal(original.prompt, plain.prompt)
    np.testing.assert_array_equal(original.blocks, plain.blocks)


def test_scaling_tokens_scales_prompts_answers_and_blocks() -> None:
    base = shared_prefixes(0)
    half = base.scaled(tokens=0.5)
    plain, scaled = all_of(base), all_of(half)
    assert half.block_tokens == 32
    np.testing.assert_array_equal(scaled.prompt, np.maximum(np.rint(plain.prompt / 2), 1))
    assert (scaled.prompt_blocks * 32 <= scaled.prompt).all()
    assert (np.diff(scaled.offsets) * 32 <= scaled.prompt + scaled.output).all()
    assert scaled.prompt_blocks.sum() > 0.9 * plain.prompt_blocks.sum()


def test_a_trace_can_be_cut_by_time_and_number() -> None:
    base = shared_prefixes(0)
    plain = all_of(base)
    assert len(all_of(base.limited(requests=250))) == 250
    cut = all_of(base.limited(seconds=20))
    assert len(cut) == (plain.arrival < 20).sum()
    np.testing.assert_array_equal(cut.blocks, plain.blocks[: cut.offsets[-1]])


def test_a_trace_can_be_repeated_with_blocks_of_its_own() -> None:
    base = shared_prefixes(0)
    plain, twice = all_of(base), all_of(base.looped(2))
    count = len(plain)
    np.testing.assert_array_equal(twice.prompt, np.tile(plain.prompt, 2))
    gap = plain.arrival[-1] / (count - 1)
    np.testing.assert_allclose(twice.arrival[count:], plain.arrival + plain.arrival[-1] + gap)
    assert not set(twice.blocks[: plain.offsets[-1]]) & set(twice.blocks[plain.offsets[-1] :])


@pytest.mark.parametrize("factors", [{"rate": 0}, {"tokens": -1}])
def test_factors_are_above_zero(factors: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        shared_prefixes(0).scaled(**factors)
