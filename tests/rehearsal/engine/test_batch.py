"""Continuous batching in model time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.engine.batch import EngineModel, Event, Kind, Limits, QueueFullError, Work
from rehearsal.engine.timing import Rates

RATES = Rates(1000.0, 0.0, 0.1, 0.0, 0.0)


def model(running: int = 8, queued: int | None = None, memory: int = 10_000) -> EngineModel:
    return EngineModel(RATES, Limits(running, queued, memory, 16))


def kinds(events: list[Event]) -> list[tuple[Kind, str, float]]:
    return [(event.kind, event.key, round(event.at, 6)) for event in events]


def test_one_request_prefills_then_decodes_a_token_a_step() -> None:
    engine = model()
    engine.offer(Work("a", 500, 3), 10.0)
    assert kinds(engine.advance(10.5)) == [(Kind.ADMITTED, "a", 10.0), (Kind.FIRST_TOKEN, "a", 10.5)]
    assert engine.progress("a") == 1
    assert engine.next_step_at() == pytest.approx(10.6)
    engine.advance(10.65)
    assert engine.progress("a") == 2
    assert kinds(engine.advance(11)) == [(Kind.FINISHED, "a", 10.7)]
    assert not engine.busy


def test_one_token_is_finished_with_prefill() -> None:
    engine = model()
    engine.offer(Work("a", 100, 1), 0)
    assert [event.kind for event in engine.advance(1)] == [Kind.ADMITTED, Kind.FIRST_TOKEN, Kind.FINISHED]


def test_a_prefill_stops_the_decoding_of_others() -> None:
    engine = model()
    engine.offer(Work("a", 100, 11), 0)
    engine.advance(0.1)
    engine.offer(Work("b", 1000, 5), 0.1)
    events = kinds(engine.advance(5))
    assert (Kind.FIRST_TOKEN, "b", 1.1) in events
    assert (Kind.FINISHED, "a", 2.1) in events  # 10 steps after its first token, and 1 s of prefill between


def test_who_arrives_during_a_step_starts_after_it() -> None:
    engine = model()
    engine.offer(Work("a", 100, 50), 0)
    engine.advance(0.15)
    engine.offer(Work("b", 100, 5), 0.15)
    assert (Kind.ADMITTED, "b", 0.2) in kinds(engine.advance(0.5))


def test_no_more_run_than_the_limit_and_the_first_comes_first() -> None:
    engine = model(running=2)
    for key in "abc":
        engine.offer(Work(key, 100, 10), 0)
    engine.advance(0.2)
    assert list(engine.running) == ["a", "b"]
    assert list(engine.waiting) == ["c"]
    events = kinds(engine.advance(9))
    assert events.index((Kind.FINISHED, "a", 1.1)) < events.index((Kind.ADMITTED, "c", 1.1))


def test_a_full_queue_refuses() -> None:
    engine = model(running=1, queued=1)
    engine.offer(Work("a", 100, 10), 0)
    engine.advance(0.05)
    engine.offer(Work("b", 100, 10), 0.05)
    with pytest.raises(QueueFullError):
        engine.offer(Work("c", 100, 10), 0.05)


def test_memory_bounds_what_runs_and_what_could_never_run_is_refused() -> None:
    engine = model(memory=400)
    engine.offer(Work("a", 200, 100), 0)
    engine.offer(Work("b", 200, 100), 0)
    engine.advance(0.3)
    assert (list(engine.running), list(engine.waiting)) == (["a"], ["b"])
    assert [event.key for event in engine.advance(100) if event.kind is Kind.FINISHED] == ["a", "b"]
    with pytest.raises(ValueError, match="never fit"):
        engine.offer(Work("c", 300, 101), 101)


def test_a_cached_beginning_is_not_computed_again() -> None:
    engine = model()
    blocks = tuple(range(1, 11))
    for key, start in (("cold", 0.0), ("warm", 10.0)):
        engine.offer(Work(key, 160, 5, blocks, blocks), start)
        first = next(event for event in engine.advance(start + 9) if event.kind is Kind.FIRST_TOKEN)
        assert (first.cached_tokens, round(first.at - start, 4)) == ((0, 0.16) if key == "cold" else (159, 0.001))


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.45])
def test_an_abort_frees_everything_wherever_the_request_is(moment: float) -> None:
    engine = model(running=1)
    engine.offer(Work("a", 100, 50, (1, 2)), 0)
    engine.offer(Work("b", 100, 5), 0)
    engine.advance(moment)
    assert engine.abort("a")
    assert not engine.abort("a")
    assert [event.key for event in engine.advance(60) if event.kind is Kind.FINISHED] == ["b"]
    assert (engine.cache.used_tokens, engine.context_tokens, engine.busy) == (0, 0, False)


STEP = st.tuples(st.floats(0, 2), st.integers(1, 300), st.integers(1, 40), st.booleans())


@settings(deadline=None, max_examples=40)
@given(st.lists(STEP, max_size=25))
def test_everything_offered_ends_once_and_leaves_nothing(script: list[tuple[float, int, int, bool]]) -> None:
    engine = model(running=3, memory=1000)
    now, finished, aborted = 0.0, [], set()
    for index, (wait, prompt, output, abort) in enumerate(script):
        now += wait
        finished += [event.key for event in engine.advance(now) if event.kind is Kind.FINISHED]
        blocks = tuple(range(prompt // 16))
        engine.offer(Work(str(index), prompt, output, blocks, blocks), now)
        if abort and index and engine.abort(str(index - 1)):
            aborted.add(str(index - 1))
    finished += [event.key for event in engine.advance(now + 10_000) if event.kind is Kind.FINISHED]
    assert sorted([*finished, *aborted]) == sorted(map(str, range(len(script))))
    assert (engine.cache.used_tokens, engine.context_tokens, engine.busy) == (0, 0, False)


def test_how_often_it_is_asked_does_not_change_what_happens() -> None:
    def run(tick: float) -> list[tuple[Kind, str, float]]:
        engine = model(running=2)
        for key in "abcd":
            engine.offer(Work(key, 130, 17), 0)
        found = []
        for index in range(int(20 / tick)):
            found += engine.advance((index + 1) * tick)
        return kinds(found)

    assert run(20) == run(0.01)
