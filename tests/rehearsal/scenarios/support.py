"""Made-up records and engine entries, and a server that answers as badly as a test wants."""

from __future__ import annotations

import json
import socket
import struct
import time
from contextlib import contextmanager
from dataclasses import replace
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from rehearsal.engine.ledger import Entry
from rehearsal.engine.requests import read_chat
from rehearsal.engine.text import answer_to
from rehearsal.scenarios.record import Outcome, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDRESS = "127.64.40.1"
WORKER = "http://127.64.1.5:30000"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"x-smg-routed-worker-id: " + WORKER.encode() + b"\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"

GOOD = Record(
    id="a-000001",
    streamed=True,
    model="tiny",
    prompt_key="group 1",
    sent=100.0,
    first_byte=100.5,
    ended=110.0,
    status=200,
    worker=WORKER,
    finish_reason="length",
    prompt_tokens=600,
    completion_tokens=20,
    cached_tokens=480,
    expected_tokens=20,
    sha256="feed",
    expected_sha256="feed",
    outcome=Outcome.COMPLETE,
    fault=None,
)
ENTRY = Entry(
    "127.64.1.5:30000", "r1", GOOD.id, "/v1/chat/completions", 600, 480, 20, "feed", 100, 100.4, 109.9, "complete"
)


def record(name: str, **changes: Any) -> Record:
    return replace(GOOD, id=name, **changes)


def lost(name: str, reason: str = "the stream ended without [DONE]", **changes: Any) -> Record:
    return record(name, outcome=Outcome.LOST, fault=reason, **changes)


def refused(name: str, reason: str = "HTTP 503: no workers", **changes: Any) -> Record:
    return record(name, outcome=Outcome.REFUSED, fault=reason, **changes)


def entry(name: str | None, **changes: Any) -> Entry:
    return replace(ENTRY, request_id=name, **changes)


def event(document: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def delta(text: str, reason: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]})


def usage(tokens: int) -> dict[str, object]:
    return {"prompt_tokens": 600, "completion_tokens": tokens, "prompt_tokens_details": {"cached_tokens": 480}}


def usage_event(tokens: int) -> bytes:
    return event({"choices": [], "usage": usage(tokens)})


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def right_text(body: dict[str, Any]) -> str:
    return answer_to(read_chat(body, "tiny").prompts[0]).text(0, body["max_tokens"])


def stream_of(body: dict[str, Any], text: str | None = None) -> list[bytes]:
    """The events of a complete stream, four characters each."""
    text = right_text(body) if text is None else text
    pieces = [delta(text[at : at + 4]) for at in range(0, len(text), 4)]
    return [delta(""), *pieces, delta("", "length"), usage_event(len(text) // 4), b"data: [DONE]\n\n"]


def whole_of(body: dict[str, Any]) -> bytes:
    """A complete plain answer."""
    message = {"role": "assistant", "content": right_text(body)}
    choices = [{"index": 0, "message": message, "finish_reason": "length"}]
    return json.dumps({"choices": choices, "usage": usage(body["max_tokens"])}).encode()


def sized(status: str, body: bytes) -> bytes:
    """A response that names its length."""
    worker = f"x-smg-routed-worker-id: {WORKER}\r\n" if status.startswith("200") else ""
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{worker}\r\n".encode() + body


def reset(connection: socket.socket) -> None:
    """Close so that the other side sees a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def serving(play: Callable[[socket.socket, dict[str, Any]], None]) -> Iterator[str]:
    """A server that reads each request and lets `play` do the rest with the connection and the request's JSON."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            received = b""
            while b"\r\n\r\n" not in received:
                received += self.request.recv(65536)
            head, _, body = received.partition(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(body) < size:
                body += self.request.recv(65536)
            play(self.request, json.loads(body))

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server((ADDRESS, 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://{ADDRESS}:{server.server_address[1]}"
        server.shutdown()


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.005)
