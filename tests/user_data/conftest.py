from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from user_data.agent.host import ROOT_VARIABLE
from user_data.agent.log import Log
from user_data.agent.metadata import ENDPOINT_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = {
    "instanceId": "i-0123456789abcdef0",
    "privateIp": "127.64.9.9",
    "region": "eu-central-1",
    "availabilityZone": "eu-central-1a",
    "instanceType": "g6e.xlarge",
    "accountId": "123456789012",
}

StubFactory = Callable[[str], tuple[Any, Stubber]]


class LogLines:
    """A log, and what was written to it."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.log = Log("test", self.stream)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.events if line["event"] == event]


@pytest.fixture
def lines() -> LogLines:
    return LogLines()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's folder, and the variable that says so."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubFactory]:
    """Clients that answer only what a test has put in, and fail it when an answer was not asked for."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    stubbers: list[Stubber] = []

    def make(service: str) -> tuple[Any, Stubber]:
        client = boto3.client(service, region_name="eu-central-1")  # type: ignore[call-overload]
        stubber = Stubber(client)
        stubber.activate()
        stubbers.append(stubber)
        return client, stubber

    yield make
    for stubber in stubbers:
        stubber.assert_no_pending_responses()
        stubber.deactivate()


class MetadataServer:
    """IMDSv2 as far as the client goes, with faults on demand."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {"/latest/dynamic/instance-identity/document": json.dumps(IDENTITY)}
        self.requests: list[str] = []
        self.failures = 0
        self.tokens: set[str] = set()
        self.http = ThreadingHTTPServer(("127.64.9.1", 0), self._handler())
        self.url = f"http://127.64.9.1:{self.http.server_port}"

    def answer(self, method: str, path: str, token: str | None) -> tuple[int, str]:
        self.requests.append(f"{method} {path}")
        if self.failures:
            self.failures -= 1
            return 503, ""
        if method == "PUT":
            self.tokens.add(f"token-{len(self.requests)}")
            return 200, f"token-{len(self.requests)}"
        if token not in self.tokens:
            return 401, ""
        return (200, self.values[path]) if path in self.values else (404, "")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def _reply(self) -> None:
                status, text = answer(self.command, self.path, self.headers.get("X-aws-ec2-metadata-token"))
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = _reply  # noqa: N815 - the base class's name
            do_PUT = _reply  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                del format, args

        return Handler


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataServer]:
    server = MetadataServer()
    threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv(ENDPOINT_VARIABLE, server.url)
    yield server
    server.http.shutdown()
    server.http.server_close()
