"""Asking for this computer's public address."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from packer.address import public_block
from packer.errors import BakeError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def service(status: int, text: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.handle_request, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    thread.join(5)
    server.server_close()


def test_the_address_becomes_a_block_of_one() -> None:
    with service(200, "192.0.2.7\n") as url:
        assert public_block(url) == "192.0.2.7/32"


@pytest.mark.parametrize(
    ("status", "text", "sentence"),
    [
        (200, "<html>sign in</html>", "answers something else than an address; set bake.ssh_cidrs"),
        (503, "", "does not tell this computer's address"),
    ],
)
def test_anything_else_asks_for_the_setting(status: int, text: str, sentence: str) -> None:
    with service(status, text) as url, pytest.raises(BakeError) as raised:
        public_block(url)
    assert sentence in str(raised.value)
    assert str(raised.value).endswith("set bake.ssh_cidrs to the block you connect from")


def test_no_service_asks_for_the_setting() -> None:
    with pytest.raises(BakeError, match="does not tell this computer's address"):
        public_block("http://127.0.0.1:9")
