from __future__ import annotations

import json

import pytest

from rehearsal.scenarios.answer import Answer, ErrorAnswer, StreamedAnswer, Usage, WholeAnswer, error_message
from tests.rehearsal.scenarios.support import delta, event, usage, usage_event

STREAM = b": a comment\n\n" + delta("") + delta("abc ") + delta("d", "length") + usage_event(2) + b"data: [DONE]\n\n"


def fed(answer: Answer, *pieces: bytes) -> Answer:
    for piece in pieces:
        answer.feed(piece)
    return answer


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_a_stream_reads_the_same_however_it_is_cut(size: int) -> None:
    answer = fed(StreamedAnswer(), *(STREAM[at : at + size] for at in range(0, len(STREAM), size)))
    assert (answer.text, answer.pieces) == ("abc d", ["abc ", "d"])
    assert (answer.reason, answer.usage, answer.done, answer.error) == ("length", Usage(600, 2, 480), True, None)


def test_a_cut_stream_is_not_done() -> None:
    answer = fed(StreamedAnswer(), STREAM[:-2])
    assert not answer.done


def test_an_error_event_is_kept_though_done_follows() -> None:
    answer = fed(StreamedAnswer(), delta("abc "), event({"error": {"message": "worker gone"}}), b"data: [DONE]\n\n")
    assert (answer.text, answer.error, answer.done) == ("abc ", "worker gone", True)


@pytest.mark.parametrize("bad", [b"data: {oops\n\n", event({"choices": [{}]}), event([1]), event({"choices": 3})])
def test_an_event_that_cannot_be_read_is_an_error_of_the_answer(bad: bytes) -> None:
    assert fed(StreamedAnswer(), bad).error


def test_a_whole_answer_is_read_at_its_end() -> None:
    choice = {"index": 0, "message": {"content": "abc d"}, "finish_reason": "length"}
    raw = json.dumps({"choices": [choice], "usage": usage(2) | {"prompt_tokens_details": None}}).encode()
    answer = fed(WholeAnswer(), raw[:20], raw[20:])
    assert not answer.done
    answer.close()
    assert (answer.text, answer.reason, answer.usage, answer.done) == ("abc d", "length", Usage(600, 2, None), True)


def test_a_whole_answer_that_is_no_json_is_an_error() -> None:
    answer = fed(WholeAnswer(), b"<html>")
    answer.close()
    assert (answer.error or "").startswith("unreadable")
    assert not answer.done


@pytest.mark.parametrize(
    ("raw", "sentence"), [(b'{"error": {"message": "no workers"}}', "no workers"), (b"plain words", "plain words")]
)
def test_an_error_body_says_its_sentence(raw: bytes, sentence: str) -> None:
    answer = fed(ErrorAnswer(), raw)
    answer.close()
    assert answer.error == sentence


def test_error_bodies_of_all_shapes_have_a_sentence() -> None:
    assert error_message({"error": "busy"}) == "busy"
    assert error_message({"object": "error", "message": "too long"}) == "too long"
    assert error_message("bare") == "bare"
