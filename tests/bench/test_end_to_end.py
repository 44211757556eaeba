"""`fleet bench` as a user runs it, with AIPerf, against the engine emulator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.errors import BenchError
from bench.generator import find_generator
from tests.rehearsal.engine.support import KEY, REPOSITORY, RunningEngine, emulator_command, started, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

try:
    find_generator(REPOSITORY)
    MISSING = ""
except BenchError as error:
    MISSING = str(error)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

TRACE = """\
{"timestamp": 0, "input_length": 1000, "output_length": 6, "hash_ids": [0, 1]}
{"timestamp": 900, "input_length": 1500, "output_length": 6, "hash_ids": [0, 1, 2]}
{"timestamp": 1000, "input_length": 40, "output_length": 6}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    folder = tmp_path_factory.mktemp("engine")
    with started(
        emulator_command("--enable-cache-report"), "127.64.33.1", folder, write_config(folder, time_scale=0.1)
    ) as running:
        running.wait_ready(20)
        yield running


def start(engine: RunningEngine, *arguments: str, key: str = KEY) -> subprocess.Popen[str]:
    environment = {**os.environ, "OPENAI_API_BASE": engine.url, "OPENAI_API_KEY": key}
    command = [sys.executable, "-m", "fleet", "bench", *arguments]
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_shared_prefix_is_measured_and_drawn(engine: RunningEngine, tmp_path: Path) -> None:
    picture = tmp_path / "run.html"
    shared = ("--dataset", "shared-prefix", "--prefixes", "1", "--output-tokens", "10")
    process = start(engine, *shared, "--requests", "12", "--concurrency", "3", "--json", "--plot", str(picture))
    output, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    result = json.loads(output)["result"]
    assert (result["requests"], result["errors"], result["output_tokens"]) == (12, 0, 120)
    # 1,024 + 512 tokens and the template's few; a token of the emulator is four characters, so the lengths are exact.
    assert result["prompt_tokens"] == pytest.approx(12 * 1536, rel=0.03)
    # All but the first three find the prefix, two thirds of the prompt.
    assert result["cached_share"] == pytest.approx(2 / 3 * 9 / 12, abs=0.2)
    assert 0 < result["first_token"]["p50"] < result["latency"]["p50"]
    assert "from the prefix cache" in told
    page = picture.read_text()
    assert page.count("<svg") == 1
    assert "<script" not in page
    assert KEY not in output + told + page


def test_a_trace_keeps_its_times_lengths_and_blocks(engine: RunningEngine, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text(TRACE)
    process = start(engine, "--trace", str(trace), "--json")
    output, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    result = json.loads(output)["result"]
    assert (result["requests"], result["errors"], result["output_tokens"]) == (3, 0, 18)
    assert result["prompt_tokens"] == pytest.approx(2540, rel=0.03)
    assert result["seconds"] > 1
    # 512 tokens of the first block; the second is partial in one of the two.
    assert result["cached_share"] == pytest.approx(512 / 2540, abs=0.03)


def test_a_refused_key_is_one_sentence(engine: RunningEngine) -> None:
    process = start(engine, key="another-made-up-key")
    output, told = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert told == f"{engine.url}/v1: the key is refused (401); set OPENAI_API_KEY to a valid one\n"


def test_requests_that_all_fail_are_a_failed_endpoint(engine: RunningEngine) -> None:
    process = start(engine, "--requests", "3", "--prompt-tokens", "40000")
    output, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "3 x 400 Bad Request" in output
    assert told.startswith("no request was answered (400 Bad Request")
    assert "Traceback" not in output + told


def test_ctrl_c_ends_the_generator_and_shows_what_there_is(engine: RunningEngine) -> None:
    process = start(engine, "--duration", "600", "--concurrency", "1", "--json")
    assert process.stderr is not None
    seen = next((line for line in process.stderr if " requests" in line), "")
    assert seen, "it ended without a word"
    process.send_signal(signal.SIGINT)
    output, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    result = json.loads(output)["result"]
    assert result["interrupted"] is True
    assert result["requests"] > 0
    assert "interrupted" in told
