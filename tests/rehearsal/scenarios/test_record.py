from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rehearsal.scenarios.answer import Answer, Usage
from rehearsal.scenarios.prompts import LoadPlan, ask_of, expected_text
from rehearsal.scenarios.record import Break, Outcome, Received, conclude

ASK = replace(ask_of(LoadPlan("t", ("tiny",), concurrency=3), 2, 0), max_tokens=3)
PLAIN = replace(ASK, streamed=False)
TEXT = expected_text(ASK)


def received(**changes: Any) -> Received:
    """A complete answer, but for the changes."""
    answer = Answer()
    given: dict[str, Any] = {"pieces": [TEXT], "reason": "length", "usage": Usage(9, 3, 0), "done": True, "error": None}
    for name, value in given.items():
        setattr(answer, name, changes.pop(name, value))
    whole: dict[str, Any] = {"sent": 1.0, "answer": answer, "count": 9, "status": 200}
    return Received(**(whole | changes))


def outcome(evidence: Received, *, streamed: bool = True) -> tuple[Outcome, str | None]:
    ended = conclude(ASK if streamed else PLAIN, TEXT, evidence, 5.0)
    return ended.outcome, ended.fault


def test_a_whole_answer_is_complete() -> None:
    assert outcome(received()) == (Outcome.COMPLETE, None)
    assert outcome(received(), streamed=False) == (Outcome.COMPLETE, None)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_retryable_status_is_a_refusal(status: int) -> None:
    assert outcome(received(status=status, error="busy")) == (Outcome.REFUSED, f"HTTP {status}: busy")


@pytest.mark.parametrize("status", [400, 401, 404, 204])
def test_any_other_status_is_a_loss(status: int) -> None:
    assert outcome(received(status=status, error="no")) == (Outcome.LOST, f"HTTP {status}: no")


def test_a_connection_that_breaks_before_any_byte_is_a_refusal_and_after_one_a_loss() -> None:
    gone = {"status": None, "broken": Break.CONNECTION, "detail": "reset"}
    assert outcome(received(count=0, **gone)) == (Outcome.REFUSED, "reset")
    assert outcome(received(count=1, **gone)) == (Outcome.LOST, "reset")
    assert outcome(received(count=99, **(gone | {"status": 200}), pieces=[])) == (Outcome.LOST, "reset")


@pytest.mark.parametrize("how", [Break.TIMEOUT, Break.STILL_OPEN, Break.MALFORMED])
def test_an_end_without_any_byte_that_is_no_broken_connection_is_a_loss(how: Break) -> None:
    assert outcome(received(count=0, status=None, broken=how, detail="why")) == (Outcome.LOST, "why")


def test_an_error_event_is_a_refusal_before_the_first_text_only() -> None:
    assert outcome(received(pieces=[], error="gone")) == (Outcome.REFUSED, "error event: gone")
    assert outcome(received(error="gone")) == (Outcome.LOST, "error in the answer: gone")
    assert outcome(received(pieces=[], error="gone"), streamed=False)[0] is Outcome.LOST


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"done": False}, "the stream ended without [DONE]"),
        ({"reason": "abort"}, "finish_reason is 'abort'"),
        ({"reason": None}, "finish_reason is None"),
        ({"usage": None}, "no usage"),
        ({"usage": Usage(9, 2, 0)}, "2 of 3 tokens"),
        ({"pieces": [TEXT[:-1]]}, "the text is not what the engine must have sent"),
        ({"broken": Break.CONNECTION, "detail": "connection closed"}, "connection closed"),
    ],
)
def test_an_answer_that_lacks_anything_is_lost(changes: dict[str, Any], sentence: str) -> None:
    assert outcome(received(**changes)) == (Outcome.LOST, sentence)


def test_of_a_real_engine_only_the_length_is_known() -> None:
    other = received(pieces=["another text"])
    ended = conclude(ASK, None, other, 5.0)
    assert (ended.outcome, ended.expected_sha256) == (Outcome.COMPLETE, None)
    assert conclude(ASK, None, received(usage=Usage(9, 2, 0)), 5.0).outcome is Outcome.LOST


def test_a_record_counts_pieces_where_the_usage_is_missing() -> None:
    cut = conclude(ASK, TEXT, received(pieces=["a", "b"], usage=None, done=False), 5.0)
    assert (cut.completion_tokens, cut.expected_tokens, cut.prompt_tokens, cut.cached_tokens) == (2, 3, None, None)
    assert cut.seconds == 4.0
