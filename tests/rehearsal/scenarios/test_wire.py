from __future__ import annotations

import pytest

from rehearsal.scenarios.wire import MalformedError, ResponseReader

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3\r\nabc\r\n4;x=y\r\nd\r\nf\r\n0\r\n\r\n"
SIZED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nsorry"


def read(pieces: list[bytes]) -> tuple[bytes, ResponseReader]:
    reader = ResponseReader()
    return b"".join(reader.feed(piece) for piece in pieces), reader


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_chunked_body_is_the_same_however_it_is_cut(size: int) -> None:
    body, reader = read([CHUNKED[at : at + size] for at in range(0, len(CHUNKED), size)])
    assert body == b"abcd\r\nf"
    assert reader.whole
    assert reader.received == len(CHUNKED)
    assert reader.head is not None
    assert (reader.head.status, reader.head.headers["x-a"]) == (200, "b")


def test_a_chunked_body_without_its_last_chunk_is_never_whole() -> None:
    _, reader = read([CHUNKED[:-5]])
    reader.closed()
    assert not reader.whole


@pytest.mark.parametrize("size", [1, 1000])
def test_a_body_of_known_length_is_whole_at_its_last_byte(size: int) -> None:
    pieces = [SIZED[at : at + size] for at in range(0, len(SIZED), size)]
    body, reader = read(pieces)
    assert (body, reader.whole) == (b"sorry", True)
    _, short = read([SIZED[:-1]])
    short.closed()
    assert not short.whole


def test_an_empty_body_is_whole_at_once() -> None:
    assert read([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"])[1].whole


def test_a_body_of_unknown_length_ends_with_the_connection() -> None:
    body, reader = read([b"HTTP/1.1 200 OK\r\n\r\nab", b"c"])
    assert (body, reader.whole) == (b"abc", False)
    reader.closed()
    assert reader.whole


def test_informational_responses_are_passed_over() -> None:
    body, reader = read([b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED])
    assert reader.head is not None
    assert (reader.head.status, body) == (503, b"sorry")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"SSH-2.0-x\r\n\r\n", "not a status line"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "not a chunk size"),
        (SIZED + b"!", "1 bytes more than content-length says"),
    ],
)
def test_what_is_no_response_is_named(data: bytes, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        read([data])
