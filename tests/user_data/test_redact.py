from __future__ import annotations

import io
import os
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from user_data.agent.redact import Redactor, pump

SECRET = "abcabd-secret"


def _through(text: bytes, cuts: list[int]) -> bytes:
    redactor = Redactor(SECRET)
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    return b"".join(map(redactor.feed, pieces)) + redactor.finish()


@given(
    st.lists(st.sampled_from([SECRET.encode(), b"abc", b"abcab", b"\n", b"x", b"secret", b"abcabd-secre"]), max_size=8),
    st.lists(st.integers(0, 200)),
)
def test_however_it_is_cut_the_text_is_the_same_without_the_secret(parts: list[bytes], cuts: list[int]) -> None:
    text = b"".join(parts)
    shown = _through(text, cuts)
    assert shown == text.replace(SECRET.encode(), b"***")
    assert SECRET.encode() not in shown


def test_no_more_than_a_beginning_of_the_secret_is_held_back() -> None:
    redactor = Redactor(SECRET)
    assert redactor.feed(b"long line without an end " * 1000) == b"long line without an end " * 1000
    assert redactor.feed(b"see abcab") == b"see "
    assert redactor.feed(b"!") == b"abcab!"


def test_no_secret_passes_everything() -> None:
    assert Redactor(None).feed(b"abc") == b"abc"


def test_pump_copies_until_the_end() -> None:
    reader, writer = os.pipe()
    target = io.BytesIO()
    os.write(writer, f"api_key='{SECRET}' done abc".encode())
    os.close(writer)
    with os.fdopen(reader, "rb") as source:
        pump(source, target, SECRET)
    assert target.getvalue() == b"api_key='***' done abc"
