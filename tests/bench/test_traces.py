from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.errors import BenchError
from bench.traces import Arrival, generator_lines, read_trace

if TYPE_CHECKING:
    from pathlib import Path

MOONCAKE = """\
{"timestamp": 2000, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]}

{"timestamp": 3500, "input_length": 1000, "output_length": 0, "hash_ids": [0, 1]}
{"timestamp": 6000, "input_length": 40, "output_length": 7}
"""
AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens\r
2023-11-16 18:15:46.6805900,374,44\r
2023-11-16 18:15:50.9951690,396,109\r
"""


def read(path: Path, text: str, **cut: float) -> list[Arrival]:
    path.write_text(text, newline="")
    requests = cut.get("requests")
    count = None if requests is None else int(requests)
    return read_trace(path, requests=count, duration=cut.get("duration"), rate=cut.get("rate"))


def lines_of(arrivals: list[Arrival], characters: int = 4) -> list[dict[str, object]]:
    return [json.loads(line) for line in generator_lines(arrivals, characters)]


def test_a_mooncake_trace_starts_at_zero_and_keeps_its_blocks(tmp_path: Path) -> None:
    arrivals = read(tmp_path / "trace", MOONCAKE)
    assert arrivals == [Arrival(0, 600, 5, (0, 1)), Arrival(1.5, 1000, 0, (0, 1)), Arrival(4, 40, 7)]


def test_an_azure_trace_has_seven_digits_and_windows_line_ends(tmp_path: Path) -> None:
    first, second = read(tmp_path / "trace", AZURE)
    assert first == Arrival(0, 374, 44)
    assert (second.prompt_tokens, second.output_tokens) == (396, 109)
    assert second.at == pytest.approx(4.314579, abs=2e-6)


def test_a_trace_is_cut_by_number_and_by_time_and_stretched_to_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    assert [row.at for row in read(path, MOONCAKE, requests=2)] == [0, 1.5]
    assert [row.at for row in read(path, MOONCAKE, duration=1.5)] == [0]
    # Three requests have two gaps: at 4/s they fill half a second; the cut is made after that.
    assert [row.at for row in read(path, MOONCAKE, rate=4)] == pytest.approx([0, 0.1875, 0.5])
    assert len(read(path, MOONCAKE, rate=4, duration=0.2)) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", ": it holds no request; give a Mooncake JSONL or an Azure CSV file with some"),
        ("a,b\n1,2\n", ": its first line is neither a JSON object (Mooncake) nor"),
        (MOONCAKE + "{}\n", ":5: timestamp: Field required; correct the line or give another file"),
        (MOONCAKE + "nonsense\n", ":5: line: Invalid JSON"),
        (
            '{"timestamp": 0, "input_length": 513, "output_length": 1, "hash_ids": [3]}',
            ":1: 1 hash_ids do not make input_length 513 at 512 tokens each; correct the line or leave hash_ids out",
        ),
        ('{"timestamp": 0, "input_length": 0, "output_length": 1}', ":1: input_length: Input should be greater than 0"),
        (MOONCAKE.replace("6000", "3000"), ": request 3 is earlier than the one before it; sort the file by time"),
        (AZURE + "2023-11-16 18:15:51,12\r\n", ":4: GeneratedTokens: Input should be a valid integer"),
        (AZURE + "yesterday,12,3\r\n", ":4: TIMESTAMP 'yesterday' is not a time; correct it"),
    ],
)
def test_a_faulty_trace_is_named_by_file_and_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(BenchError) as refused:
        read(tmp_path / "trace", text)
    assert str(refused.value).startswith(f"{tmp_path / 'trace'}{sentence}")
    assert refused.value.code == 2


def test_a_trace_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    with pytest.raises(BenchError, match=r"^--trace: cannot read .*: No such file or directory; name a file"):
        read_trace(path, requests=None, duration=None, rate=None)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchError, match="is not text; give a Mooncake JSONL or an Azure CSV file"):
        read_trace(path, requests=None, duration=None, rate=None)


def test_a_block_that_is_partial_once_and_whole_later_gets_two_numbers(tmp_path: Path) -> None:
    first, second, third = lines_of(read(tmp_path / "trace", MOONCAKE))
    assert first == {"timestamp": 0, "input_length": 2400, "output_length": 5, "hash_ids": [0, 1]}
    assert second["hash_ids"] == [0, 2]  # the same first block; of the second, 488 tokens instead of 88
    assert second["output_length"] == 1  # the generator takes no 0
    assert third["hash_ids"] == [3]


def test_prompts_without_hashes_have_nothing_in_common() -> None:
    lines = lines_of([Arrival(0, 1025, 1), Arrival(1, 1025, 1)], characters=1)
    assert [line["hash_ids"] for line in lines] == [[0, 1, 2], [3, 4, 5]]
    assert {line["input_length"] for line in lines} == {1025}
