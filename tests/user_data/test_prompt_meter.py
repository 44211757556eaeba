from __future__ import annotations

from dataclasses import replace

import pytest

from tests.user_data.engine_pages import GOOD
from user_data.agent.engine_page import EngineReading, read_engine
from user_data.agent.prompt_load import Speeds, bearable
from user_data.agent.prompt_meter import PromptMeter

SPEEDS = Speeds(prompt_tokens_per_second=2000.0, token_seconds=0.03, limit_seconds=0.06)
FIRST = EngineReading(0, 0, computed_tokens=50_000, cached_tokens=90_000)
LATER = replace(
    FIRST,
    computed_tokens=54_000,
    cached_tokens=102_000,
    answers=4,
    answered_prompt_tokens=16_000,
    answer_tokens=804,
)


def test_only_streams_tell_how_long_answers_are() -> None:
    reading = read_engine(GOOD)
    assert (reading.answers, reading.answered_prompt_tokens, reading.answer_tokens) == (5, 35, 60)


def test_the_load_is_what_was_computed_between_two_readings_for_answers_of_that_length() -> None:
    meter = PromptMeter(SPEEDS)
    assert meter.read(0.0, FIRST) is None
    # a quarter of each prompt of 4,000 tokens was not in the cache
    assert meter.read(10.0, LATER) == pytest.approx(100 * 0.2 / bearable(0.5, 6.0, SPEEDS))


def test_probes_are_no_load() -> None:
    meter = PromptMeter(SPEEDS)
    meter.read(0.0, FIRST)
    assert meter.read(10.0, replace(FIRST, computed_tokens=FIRST.computed_tokens + 30)) == 0


def test_a_gap_is_no_interval_and_a_restarted_engine_counts_from_nothing() -> None:
    meter = PromptMeter(SPEEDS)
    meter.read(0.0, FIRST)
    assert meter.read(60.0, LATER) is None
    restarted = EngineReading(0, 0, computed_tokens=4000, answers=4, answered_prompt_tokens=4000, answer_tokens=804)
    assert meter.read(70.0, restarted) == pytest.approx(100 * 0.2 / bearable(0.5, 6.0, SPEEDS))


def test_prompts_of_nobody_who_streams_have_no_load() -> None:
    meter = PromptMeter(SPEEDS)
    meter.read(0.0, FIRST)
    assert meter.read(10.0, replace(LATER, answers=0.0, answer_tokens=0.0)) is None
