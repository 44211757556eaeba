"""The pure parts: tokens, text, timing, prefix cache."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.engine import tokens
from rehearsal.engine.prefix_cache import PrefixCache
from rehearsal.engine.text import answer_to
from rehearsal.engine.timing import Rates


@settings(deadline=None, max_examples=40)
@given(st.text())
def test_every_text_has_one_token_for_each_four_characters(text: str) -> None:
    assert tokens.count(text) == len(tokens.encode(text)) == -(-len(text) // 4)


@settings(deadline=None, max_examples=40)
@given(st.text(min_size=64), st.text(), st.text())
def test_texts_with_a_common_beginning_share_its_blocks(prefix: str, a: str, b: str) -> None:
    shared = len(prefix) // 64
    assert tokens.blocks(prefix + a, 16)[:shared] == tokens.blocks(prefix + b, 16)[:shared]


def test_a_block_stands_for_everything_before_it() -> None:
    one, other = tokens.blocks("a" * 64 + "same" * 16, 16), tokens.blocks("b" * 64 + "same" * 16, 16)
    assert len(one) == len(other) == 2
    assert not set(one) & set(other)


def test_token_ids_become_a_text_with_as_many_tokens() -> None:
    assert tokens.count(tokens.text_of_ids([1, 70_000, 9])) == 3


def test_the_answer_is_the_same_in_every_process_and_however_it_is_cut() -> None:
    answer = answer_to("prompt", seed=3)
    assert tokens.count(answer.text(0, 100)) == 100
    assert "".join(answer.text(i, i + 7) for i in range(0, 98, 7)) == answer.text(0, 98)
    program = "from rehearsal.engine.text import answer_to; print(answer_to('prompt', 3).text(0, 100))"
    elsewhere = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert elsewhere.stdout.rstrip("\n") == answer.text(0, 100)


def test_prompt_and_seed_decide_the_answer() -> None:
    texts = {answer_to(prompt, seed).text(0, 20) for prompt in ("a", "b") for seed in (0, 1, -1)}
    assert len(texts) == 6


@settings(deadline=None, max_examples=40)
@given(st.text(), st.integers(1, 50), st.integers(0, 50))
def test_the_natural_length_stays_within_its_bounds(prompt: str, shortest: int, more: int) -> None:
    assert shortest <= answer_to(prompt).natural_length(shortest, shortest + more) <= shortest + more


def test_the_default_rates_are_those_of_the_documented_arithmetic() -> None:
    rates = Rates()
    weights, bandwidth, share = 18.0 * 2**30, 864e9, 0.75
    assert rates.decode_step_seconds == pytest.approx(weights / (bandwidth * share), rel=0.02)
    assert rates.decode_context_token_seconds == pytest.approx(262_144 / (bandwidth * share), rel=0.02)
    assert rates.prefill_tokens_per_second == pytest.approx(362e12 * 0.4 / (2 * 32.8e9), rel=0.02)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5000), st.integers(1, 300), st.integers(0, 10**6))
def test_steps_within_is_the_inverse_of_steps_seconds(steps: int, batch: int, context: int) -> None:
    rates = Rates()
    exact = rates.steps_seconds(steps, batch, context)
    assert rates.steps_within(exact * (1 + 1e-9), batch, context) == steps
    assert rates.steps_within(exact * (1 - 1e-6), batch, context) == steps - 1


def test_many_steps_take_as_long_as_one_after_the_other() -> None:
    rates = Rates()
    one_by_one = sum(rates.step_seconds(8, 1000 + 8 * step) for step in range(100))
    assert rates.steps_seconds(100, 8, 1000) == pytest.approx(one_by_one)


def test_more_gpus_are_faster_but_not_in_proportion() -> None:
    one, four = Rates().step_seconds(1, 0), Rates().parallel(4).step_seconds(1, 0)
    assert one / 4 < four < one / 3


def test_the_cache_finds_the_longest_known_beginning() -> None:
    cache = PrefixCache(1600, 16)
    cache.keep([1, 2, 3])
    assert cache.match([1, 2, 3, 4]) == 3
    assert cache.match([1, 9, 3]) == 1
    assert cache.match([2]) == 1  # a key stands for its whole path, so this cannot happen with real keys


def test_the_oldest_leaves_go_first_and_their_parents_stay() -> None:
    cache = PrefixCache(4 * 16, 16)
    cache.keep([1, 2, 3])
    cache.keep([1, 7])
    cache.keep([1, 8])
    assert cache.match([1, 2, 3]) == 2  # the leaf 3 was the oldest; its parents 1 and 2 are newer
    assert cache.match([1, 7]) == cache.match([1, 8]) == 2


def test_blocks_in_use_are_never_evicted_and_count_once() -> None:
    cache = PrefixCache(4 * 16, 16)
    assert cache.reserve([1, 2], 10)
    assert cache.reserve([1, 2], 10)
    assert cache.used_tokens == 2 * 16 + 20
    assert not cache.reserve([5, 6], 0)
    cache.keep([11, 12, 13, 14])
    assert cache.match([1, 2]) == 2
    cache.release([1, 2], 10)
    assert cache.used_tokens == 2 * 16 + 10
    cache.release([1, 2], 10)
    assert (cache.used_tokens, cache.match([1, 2])) == (0, 2)
    cache.flush()
    assert cache.match([1, 2]) == 0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=6, unique=True), st.integers(0, 40)), max_size=30))
def test_memory_is_never_exceeded(requests: list[tuple[list[int], int]]) -> None:
    cache = PrefixCache(100, 16)
    held = []
    for keys, private in requests:
        if cache.reserve(keys, private):
            held.append((keys, private))
        elif held:
            cache.release(*held.pop(0))
        cache.keep(keys)
        assert cache.used_tokens + cache.evictable_tokens <= 100
    for entry in held:
        cache.release(*entry)
    assert cache.used_tokens == 0
