from __future__ import annotations

from math import sqrt

import pytest

from user_data.agent.prompt_load import LEAST_BEARABLE, Counted, Speeds, bearable, prompt_load

SPEEDS = Speeds(prompt_tokens_per_second=2000.0, token_seconds=0.03, limit_seconds=0.06)
STEP = Counted(10.0, computed=4000.0, answers=4.0, prompts=4000.0, tokens=800.0)
"""A fifth of one worker's time; prompts of half a second, answers of 6 s without them."""


@pytest.mark.parametrize(("prompt", "answer"), [(0.5, 6.0), (0.2, 0.5), (0.5, 0.4), (0.0, 1.0)])
def test_nine_answers_of_ten_find_room_for_what_is_bearable(prompt: float, answer: float) -> None:
    share, longest = bearable(prompt, answer, SPEEDS), 2 * answer
    assert share * longest + 1.2816 * sqrt(share * longest * prompt) == pytest.approx(longest - answer)


def test_short_answers_bear_less() -> None:
    shares = [bearable(0.5, answer, SPEEDS) for answer in (20.0, 6.0, 0.5)]
    assert shares == sorted(shares, reverse=True)
    assert 0.3 < shares[0] < 0.5


def test_a_limit_that_decoding_alone_fills_bears_next_to_nothing() -> None:
    assert bearable(0.5, 6.0, Speeds(2000.0, 0.03, 0.03)) == LEAST_BEARABLE
    assert bearable(0.5, 0.0, SPEEDS) == LEAST_BEARABLE


def test_the_load_is_the_share_of_what_is_bearable_and_falls_with_more_workers() -> None:
    alone = prompt_load([STEP] * 9, 1, SPEEDS)
    assert alone == pytest.approx(100 * 0.2 / bearable(0.5, 6.0, SPEEDS))
    assert prompt_load([STEP] * 9, 4, SPEEDS) == pytest.approx(100 * 0.05 / bearable(0.5, 6.0, SPEEDS))


def test_prompts_count_for_a_minute_and_a_half_and_lengths_for_a_quarter_of_an_hour() -> None:
    quiet = Counted(10.0, 0.0, 0.0, 0.0, 0.0)
    assert prompt_load([quiet] * 8 + [STEP], 1, SPEEDS) == pytest.approx(100 * 0.2 / 9 / bearable(0.5, 6.0, SPEEDS))
    assert prompt_load([quiet] * 9 + [STEP], 1, SPEEDS) == 0
    short = Counted(10.0, 4000.0, 4.0, 4000.0, 40.0)
    later = prompt_load([STEP] * 9 + [short] * 81 + [STEP] * 1000, 1, SPEEDS)
    assert later == pytest.approx(100 * 0.2 / bearable(0.5, 0.03 * (9 * 200 + 81 * 10) / 90, SPEEDS))


def test_prompts_without_any_answer_yet_have_no_load_and_no_prompts_have_none() -> None:
    assert prompt_load([Counted(10.0, 4000.0, 0.0, 0.0, 0.0)], 1, SPEEDS) is None
    assert prompt_load([Counted(10.0, 0.0, 0.0, 0.0, 0.0)], 0, SPEEDS) == 0
