"""The emulator as a process, under the OpenAI client: completeness, load, aborts, boot and drain."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import openai
import pytest

from rehearsal.engine.ledger import read_ledger
from rehearsal.engine.requests import read_chat
from rehearsal.engine.text import answer_to
from rehearsal.engine.tokens import count
from tests.rehearsal.engine.support import KEY, RunningEngine, emulator_command, started, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.chat import ChatCompletionChunk

pytestmark = pytest.mark.slow
STREAMS = 200


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RunningEngine]:
    environment = write_config(tmp_path, time_scale=0.5, ledger=str(tmp_path / "ledger.jsonl"))
    command = emulator_command("--enable-cache-report", "--max-total-tokens", "200000", "--served-model-name", "tiny")
    with started(command, "127.64.31.3", tmp_path, environment) as running:
        running.wait_ready(10)
        yield running


def expected(prompt: str, tokens: int) -> str:
    whole = read_chat({"messages": [{"role": "user", "content": prompt}]}, "tiny").prompts[0]
    return answer_to(whole).text(0, tokens)


def open_client(engine: RunningEngine) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{engine.url}/v1", api_key=KEY, max_retries=0, timeout=120)


async def stream(client: openai.AsyncOpenAI, prompt: str, tokens: int, request_id: str) -> tuple[str, int, float]:
    """The text, the completion tokens that usage names, and the seconds to the first text."""
    begin, first, text, counted = time.monotonic(), 0.0, "", 0
    answer = await client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": prompt}],
        max_tokens=tokens,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"x-request-id": request_id},
        extra_body={"ignore_eos": True},
    )
    async for chunk in answer:
        text += piece(chunk)
        first = first or (time.monotonic() - begin)
        counted = chunk.usage.completion_tokens if chunk.usage else counted
    return text, counted, first


def piece(chunk: ChatCompletionChunk) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def test_two_hundred_streams_at_once_are_complete_and_in_the_ledger(engine: RunningEngine, tmp_path: Path) -> None:
    prompts = [f"{'shared beginning ' * 8} question {index}" for index in range(STREAMS)]

    async def everything() -> list[tuple[str, int, float]]:
        async with open_client(engine) as client:
            return await asyncio.gather(*(stream(client, p, 60, f"id-{i}") for i, p in enumerate(prompts)))

    answers = asyncio.run(everything())
    assert [text for text, _, _ in answers] == [expected(prompt, 60) for prompt in prompts]
    assert {counted for _, counted, _ in answers} == {60}
    ledger = {entry.request_id: entry for entry in read_ledger(tmp_path / "ledger.jsonl")}
    assert len(ledger) == STREAMS
    for index, (text, _, _) in enumerate(answers):
        entry = ledger[f"id-{index}"]
        assert (entry.finish, entry.completion_tokens) == ("complete", 60)
        assert entry.sha256 == sha256(text.encode()).hexdigest()
        assert entry.started <= (entry.first_byte or 0) <= entry.ended


def test_a_second_turn_finds_the_first_in_the_cache(engine: RunningEngine) -> None:
    async def turns() -> list[int]:
        cached = []
        async with open_client(engine) as client:
            messages: list[openai.types.chat.ChatCompletionMessageParam] = []
            for question in ("Tell me all about it. " * 20, "And then?"):
                messages.append({"role": "user", "content": question})
                answer = await client.chat.completions.create(model="tiny", messages=messages, max_tokens=80)
                messages.append({"role": "assistant", "content": answer.choices[0].message.content or ""})
                usage = answer.usage
                assert usage is not None
                assert usage.prompt_tokens_details is not None
                cached.append(usage.prompt_tokens_details.cached_tokens or 0)
        return cached

    first, second = asyncio.run(turns())
    assert first == 0
    assert second >= 160  # 110 tokens of prompt and 80 of answer, in whole blocks of 16


def test_an_answer_that_nothing_cuts_stops_by_itself(engine: RunningEngine) -> None:
    async def ask() -> tuple[str, str]:
        async with open_client(engine) as client:
            answer = await client.chat.completions.create(
                model="tiny", messages=[{"role": "user", "content": "Stop when you like."}]
            )
        return answer.choices[0].message.content or "", answer.choices[0].finish_reason

    text, reason = asyncio.run(ask())
    assert reason == "stop"
    assert 200 <= count(text) <= 600
    assert text == expected("Stop when you like.", count(text))


def test_a_client_that_leaves_aborts_its_request(engine: RunningEngine, tmp_path: Path) -> None:
    async def leave() -> None:
        async with open_client(engine) as client:
            answer = await client.chat.completions.create(
                model="tiny", messages=[{"role": "user", "content": "x"}], max_tokens=5000, stream=True,
                extra_body={"ignore_eos": True},
            )  # fmt: skip
            async for chunk in answer:
                if piece(chunk):
                    break
            await answer.close()
            whole = client.completions.create(model="tiny", prompt="y", max_tokens=5000)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(whole, 0.5)

    asyncio.run(leave())
    ledger, end = tmp_path / "ledger.jsonl", time.monotonic() + 10
    while len(read_ledger(ledger)) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    assert [entry.finish for entry in read_ledger(ledger)] == ["aborted", "aborted"]
    with engine.client() as client:
        load = client.get("/v1/loads").json()["loads"][0]
    assert (load["num_running_reqs"], load["num_waiting_reqs"], load["num_used_tokens"]) == (0, 0, 0)


def test_sigterm_lets_streams_and_newcomers_finish(engine: RunningEngine) -> None:
    async def term_under_load() -> tuple[list[tuple[str, int, float]], list[int]]:
        async with open_client(engine) as client:
            running = [asyncio.create_task(stream(client, f"q{i}", 200, f"id-{i}")) for i in range(20)]
            await asyncio.sleep(1)
            os.kill(engine.process.pid, signal.SIGTERM)
            await asyncio.sleep(0.2)
            with engine.client() as probe:
                statuses = [probe.get(path).status_code for path in ("/ready", "/health", "/v1/models")]
            newcomer = await stream(client, "late", 5, "late")
            return [*await asyncio.gather(*running), newcomer], statuses

    answers, statuses = asyncio.run(term_under_load())
    assert statuses == [503, 503, 200]
    assert [text for text, _, _ in answers] == [*(expected(f"q{i}", 200) for i in range(20)), expected("late", 5)]
    assert engine.process.wait(10) == 0


def test_the_port_opens_after_the_boot_delay_and_ready_after_the_warm_up(tmp_path: Path) -> None:
    environment = write_config(tmp_path, boot_seconds=1.5, warmup_seconds=1.5)
    begin = time.monotonic()
    with started(emulator_command(), "127.64.31.4", tmp_path, environment) as engine:
        statuses: list[int] = []
        while not statuses or statuses[-1] != 200:
            assert time.monotonic() - begin < 20
            time.sleep(0.1)
            try:
                with engine.client() as client:
                    statuses.append(client.get("/ready").status_code)
            except httpx.ConnectError:
                statuses.append(0)
        assert list(dict.fromkeys(statuses)) == [0, 503, 200]
        assert time.monotonic() - begin >= 3


def test_it_says_everywhere_that_it_is_an_emulator(engine: RunningEngine) -> None:
    with engine.client() as client:
        answer = client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1})
        assert answer.headers["server"] == "sglang-emulator"
        assert answer.json()["system_fingerprint"] == "sglang-emulator"
        for path in ("/model_info", "/server_info"):
            assert client.get(path).json()["emulator"] == "sglang-emulator"
    assert all("sglang-emulator" in line for line in engine.log.read_text().splitlines())


def test_idle_memory_stays_below_eighty_megabytes(engine: RunningEngine) -> None:
    status = Path(f"/proc/{engine.process.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 80_000
