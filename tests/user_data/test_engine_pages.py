from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.user_data.engine_pages import GARBAGE, GOOD
from user_data.agent import engine_pages
from user_data.agent.engine_page import read_engine
from user_data.agent.engine_pages import EnginePages

if TYPE_CHECKING:
    from tests.user_data.conftest import LogLines

READING = read_engine(GOOD)


class Server(ThreadingHTTPServer):
    """An engine whose page and status a test sets; with `hang`, it answers when the test ends."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        self.status, self.page, self.drip = 200, GOOD, 0.0
        self.hang: threading.Event | None = None
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if engine.hang:
                    engine.hang.wait(20)
                self.send_response(engine.status)
                self.end_headers()
                for part in engine.page.splitlines(keepends=True) if engine.drip else [engine.page]:
                    self.wfile.write(part.encode(errors="replace"))
                    time.sleep(engine.drip)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                del format, args

        super().__init__((address, 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        del request, client_address

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_port}"


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Server]]:
    monkeypatch.setattr(engine_pages, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(engine_pages, "DEADLINE_SECONDS", 0.4)
    made = [Server(f"127.72.9.{number}") for number in (1, 2)]
    for server in made:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield made
    for server in made:
        if server.hang:
            server.hang.set()
        server.shutdown()
        server.server_close()


def test_every_engine_is_asked(engines: list[Server], lines: LogLines) -> None:
    engines[1].page = GOOD.replace("} 3.0", "} 5.0")
    found = EnginePages(lines.log).readings([server.url for server in engines])
    assert {url: reading.running for url, reading in found.items()} == {engines[0].url: 3, engines[1].url: 5}
    assert (EnginePages(lines.log).readings([]), lines.events) == ({}, [])


@pytest.mark.parametrize("page", [*GARBAGE.values(), "x" * 5_000_000, "\udce4\x00"])
def test_garbage_is_left_out_and_told_once_per_change(page: str, engines: list[Server], lines: LogLines) -> None:
    good, bad = engines
    pages = EnginePages(lines.log)
    bad.page = page
    for _ in range(3):
        assert pages.readings([bad.url, good.url]) == {good.url: READING}
    assert [(line["event"], line["url"]) for line in lines.events] == [("engine_metrics_left_out", bad.url)]
    bad.page = GOOD
    assert pages.readings([bad.url, good.url]).keys() == {bad.url, good.url}
    assert lines.events[-1]["event"] == "engine_metrics_back"


def test_an_error_and_an_engine_that_is_gone_are_left_out(engines: list[Server], lines: LogLines) -> None:
    good, bad = engines
    bad.status = 503
    found = EnginePages(lines.log).readings([bad.url, "http://127.72.9.3:9", good.url, "http://[nonsense"])
    assert found == {good.url: READING}
    codes = {line["url"]: line["code"] for line in lines.events}
    assert (codes[bad.url], codes["http://127.72.9.3:9"], len(codes)) == ("503", "ConnectError", 3)


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_a_hung_engine_does_not_hold_the_others_up(how: str, engines: list[Server], lines: LogLines) -> None:
    good, bad = engines
    if how == "hangs":
        bad.hang = threading.Event()
    else:
        bad.drip = 0.1
    assert EnginePages(lines.log).readings([bad.url, good.url]) == {good.url: READING}
    # Waited for, it would have answered in the end, with the same page.
    assert [line["url"] for line in lines.events] == [bad.url]


def test_an_engine_whose_headers_never_end_is_not_asked_again_meanwhile(engines: list[Server], lines: LogLines) -> None:
    asked, stop = [], threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not stop.wait(0.05):
                connection.sendall(b"x")

    def listen(listener: socket.socket) -> None:
        with suppress(OSError):  # the test has ended
            while not stop.is_set():
                connection, _ = listener.accept()
                asked.append(1)
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.72.9.4", 0)) as listener:
        threading.Thread(target=listen, args=(listener,), daemon=True).start()
        url = f"http://127.72.9.4:{listener.getsockname()[1]}"
        pages = EnginePages(lines.log)
        for _ in range(3):
            assert pages.readings([url, engines[0].url]) == {engines[0].url: READING}
        assert (len(asked), [line["code"] for line in lines.events]) == (1, ["silent"])
        stop.set()
