from __future__ import annotations

import json
from dataclasses import replace

from rehearsal.engine import tokens
from rehearsal.engine.requests import read_chat
from rehearsal.scenarios.prompts import LoadPlan, ask_of, expected_text, system_prompt

PLAN = LoadPlan("test", ("tiny", "small"), concurrency=200, prefix_groups=7)
ASKS = [ask_of(PLAN, slot, turn) for turn in range(3) for slot in range(200)]


def test_a_request_follows_from_plan_slot_and_turn_alone() -> None:
    assert ask_of(PLAN, 17, 2) == ask_of(replace(PLAN), 17, 2)
    assert ask_of(replace(PLAN, seed=2), 17, 2).question != ask_of(PLAN, 17, 2).question


def test_every_request_has_its_own_id_and_question() -> None:
    assert len({ask.id for ask in ASKS}) == len({ask.question for ask in ASKS}) == 600


def test_at_least_two_thirds_of_the_slots_stream_in_every_turn_and_all_over() -> None:
    streams = [ask_of(PLAN, slot, 1).streamed for slot in range(200)]
    assert sum(streams) == PLAN.streaming_slots == 134
    assert all(1 <= sum(streams[at : at + 3]) <= 3 for at in range(198))
    assert [ask.streamed for ask in ASKS[:200]] == streams


def test_lengths_fill_the_ranges_of_seconds() -> None:
    streams = [ask.max_tokens / PLAN.tokens_per_second for ask in ASKS if ask.streamed]
    plain = [ask.max_tokens / PLAN.tokens_per_second for ask in ASKS if not ask.streamed]
    assert 5 <= min(streams) < 8
    assert 55 < max(streams) <= 60
    assert 1 <= min(plain) < max(plain) <= 5


def test_requests_of_a_group_share_their_first_tokens_and_groups_share_none() -> None:
    assert {ask.prompt_key for ask in ASKS} == {f"group {number}" for number in range(7)}
    assert {ask.model for ask in ASKS} == {"tiny", "small"}
    prompts = {ask.prompt_key: {other.system for other in ASKS if other.prompt_key == ask.prompt_key} for ask in ASKS}
    assert all(len(texts) == 1 for texts in prompts.values())
    one, other = ([*tokens.blocks(system_prompt(1, group, 512), 16)] for group in (1, 2))
    assert len(one) == 32
    assert not set(one) & set(other)


def test_the_body_is_read_by_the_emulator_as_it_is_meant() -> None:
    stream, plain = (next(ask for ask in ASKS if ask.streamed is kind) for kind in (True, False))
    read = read_chat(json.loads(stream.body()), "")
    assert (read.stream, read.include_usage, read.ignore_eos) == (True, True, True)
    assert (read.max_tokens, read.model) == (stream.max_tokens, stream.model)
    assert not read_chat(json.loads(plain.body()), "").stream
    assert stream.system in read.prompts[0]
    assert stream.question in read.prompts[0]


def test_the_expected_text_has_the_length_asked_for_and_depends_on_the_question() -> None:
    ask = ASKS[0]
    text = expected_text(ask)
    assert tokens.count(text) == ask.max_tokens
    assert expected_text(replace(ask, question="Another?")) != text
    assert text.startswith(expected_text(replace(ask, max_tokens=3)))
