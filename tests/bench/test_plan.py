from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.plan import DEFAULT_REQUESTS, MOST_PROMPTS, Load, Plan, Prompts, check_load, check_prompts


def plan_of(load: Load, prompts: Prompts | None = None) -> Plan:
    return Plan("http://127.0.0.1:9/v1", "tiny", load, prompts or Prompts())


def test_a_synthetic_run_without_an_end_gets_one_and_a_trace_ends_by_itself() -> None:
    assert check_load(Load(), trace=False).requests == DEFAULT_REQUESTS
    assert check_load(Load(), trace=True).requests is None
    assert check_load(Load(duration=5), trace=False).requests is None


@pytest.mark.parametrize(
    ("load", "sentence"),
    [
        (Load(requests=5, duration=9), "--requests: 5 is given together with --duration; one of them ends the run"),
        (Load(rate=0), "--rate: 0 is not above 0; give a positive number"),
        (Load(duration=float("nan")), "--duration: nan is not above 0; give a positive number"),
        (Load(rate=float("inf")), "--rate: inf is not above 0; give a positive number"),
        (Load(concurrency=-1), "--concurrency: -1 is not above 0; give a positive number"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(load: Load, sentence: str) -> None:
    with pytest.raises(BenchError) as refused:
        check_load(load, trace=False)
    assert (str(refused.value), refused.value.code) == (sentence, 2)


@pytest.mark.parametrize(
    ("prompts", "sentence"),
    [
        (Prompts(prompt_tokens=0), "--prompt-tokens: 0 is not above 0; give a positive number"),
        (Prompts(spread=1.5), "--spread: 1.5 is not a share of the length; give 0 to 1"),
        (Prompts("trace"), "--trace: missing with --dataset trace; name a Mooncake JSONL or an Azure CSV file"),
        (
            Prompts("random", trace=Path("a.csv")),
            "--trace: not used with --dataset random; drop it or say --dataset trace",
        ),
    ],
)
def test_prompts_that_make_no_sense_are_refused(prompts: Prompts, sentence: str) -> None:
    with pytest.raises(BenchError) as refused:
        check_prompts(prompts)
    assert str(refused.value) == sentence


def test_enough_prompts_are_prepared_that_none_comes_twice() -> None:
    assert plan_of(Load(requests=17)).prompts_needed() == 17
    assert plan_of(Load(duration=10, rate=5)).prompts_needed() == 60
    assert plan_of(Load(concurrency=4, duration=10)).prompts_needed() == 48
    assert plan_of(Load(duration=1e6, rate=5)).prompts_needed() == MOST_PROMPTS
