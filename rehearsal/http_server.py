"""A small HTTP/1.1 server on asyncio for the metadata services and the control port: many addresses, one event loop.

A WSGI or ASGI server per machine would cost a thread or a second event loop each; these services answer short
requests from known clients (botocore, httpx, curl), so this is enough: one request per connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 256 * 1024
READ_TIMEOUT_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One request; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """One answer."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The bytes on the wire."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


Handler = Callable[[Request], Response | None]  # None: the connection is closed without an answer


class BadRequestError(ValueError):
    """The client did not send an HTTP request this server understands."""


def parse_head(head: bytes) -> Request:
    """Parse request line and headers.

    Raises:
        BadRequestError: not HTTP.
    """
    first, *rest = head.decode("latin-1").split("\r\n")
    match first.split(" "):
        case [method, target, version] if version.startswith("HTTP/1."):
            pass
        case _:
            raise BadRequestError(f"not a request line: {first[:80]!r}")
    pairs = (line.partition(":") for line in rest if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(method, target.partition("?")[0], headers)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    request = parse_head(head.removesuffix(b"\r\n\r\n"))
    length = int(request.headers.get("content-length", "0"))
    if length > BODY_LIMIT:
        raise BadRequestError(f"body of {length} bytes is more than {BODY_LIMIT}")
    body = await reader.readexactly(length)
    return Request(request.method, request.path, request.headers, body)


async def _answer(reader: asyncio.StreamReader, handler: Handler) -> Response | None:
    try:
        request = await asyncio.wait_for(_read(reader), READ_TIMEOUT_SECONDS)
    except (BadRequestError, ValueError) as error:
        return Response(HTTPStatus.BAD_REQUEST, str(error).encode())
    except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
        return None  # the client went away or never asked
    try:
        return handler(request)
    except Exception:  # the one place that must survive a fault of a handler: it is logged and answered 500
        log.exception("%s %s failed", request.method, request.path)
        return Response(HTTPStatus.INTERNAL_SERVER_ERROR)


async def serve(host: str, port: int, handler: Handler) -> asyncio.Server:
    """Listen on an address and answer every request with `handler`.

    Raises:
        OSError: the address is in use.
    """

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            response = await _answer(reader, handler)
            if response is not None:
                writer.write(response.encode())
                await writer.drain()
        except ConnectionError:
            log.debug("client of %s:%d went away", host, port)
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, limit=HEAD_LIMIT)
