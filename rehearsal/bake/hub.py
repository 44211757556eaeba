"""A model hub on loopback, for the real client library of the bake (huggingface_hub 2.4.0), and a shelf of packages.

Of Hugging Face's HTTP interface it has what that client asks when it downloads a snapshot: a model's description, its
tree, and its files with their headers and byte ranges. A gated model is described to everybody and gives its files only
to the holder of the token.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rehearsal.bake.hub_repository import HubFile, Repository
from rehearsal.cloud_config import HubConfig

DESCRIBED = re.compile(r"/api/models/(?P<model>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
LISTED = re.compile(r"/api/models/(?P<model>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)")
FILE = re.compile(r"/(?P<model>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
PACKAGES = "/packages/"
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class HubFaults:
    """What a test orders, by MODEL/FILE; read by the hub's threads."""

    corrupt: frozenset[str] = frozenset()
    """Their middle byte is another one: headers and listings say what it should be."""
    cut: frozenset[str] = frozenset()
    """The connection ends in the middle of them, and no later one brings the rest."""


@dataclass(frozen=True)
class Answer:
    """One answer; `sent` is how much of the body goes out before the connection is cut."""

    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None


def _refuse(status: HTTPStatus, code: str, message: str) -> Answer:
    headers = {"X-Error-Code": code, "X-Error-Message": message} if code else {"X-Error-Message": message}
    return Answer(status, json.dumps({"error": message}).encode(), headers)


def _document(document: object) -> Answer:
    return Answer(HTTPStatus.OK, json.dumps(document).encode(), {"Content-Type": "application/json"})


Handle = Callable[[Repository, re.Match[str], Mapping[str, str]], Answer]


@dataclass
class Hub:
    """Answers requests; no network in here."""

    config: HubConfig
    faults: HubFaults = field(default_factory=HubFaults)

    def __post_init__(self) -> None:
        self._models = {model.id: Repository(model.id, model.folder, model.gated) for model in self.config.models}

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Answer a GET or HEAD request."""
        token = headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if token and token != self.config.token:
            return _refuse(HTTPStatus.UNAUTHORIZED, "", "Invalid credentials in Authorization header")
        if path.startswith(PACKAGES):
            return self._package(path.removeprefix(PACKAGES))
        for pattern, handle in ((LISTED, self._listed), (DESCRIBED, self._described), (FILE, self._file)):
            found = pattern.fullmatch(path)
            if found is not None:
                return self._of_model(found, headers, handle)
        return _refuse(HTTPStatus.NOT_FOUND, "", f"there is no {path} here")

    def _of_model(self, found: re.Match[str], headers: Mapping[str, str], handle: Handle) -> Answer:
        repository = self._models.get(found["model"])
        if repository is None:
            status = HTTPStatus.NOT_FOUND if headers.get("Authorization") else HTTPStatus.UNAUTHORIZED
            return _refuse(status, "RepoNotFound", "Repository not found")
        revision = found["revision"]
        if revision is not None and not repository.knows(revision):
            return _refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        return handle(repository, found, headers)

    def _described(self, repository: Repository, _found: re.Match[str], _headers: Mapping[str, str]) -> Answer:
        return _document(repository.info())

    def _listed(self, repository: Repository, _found: re.Match[str], _headers: Mapping[str, str]) -> Answer:
        return _document([file.tree_entry() for file in repository.files.values()])

    def _file(self, repository: Repository, found: re.Match[str], headers: Mapping[str, str]) -> Answer:
        if repository.gated and not headers.get("Authorization"):
            message = (
                f"Access to model {repository.model} is restricted. You must have access to it and be authenticated."
            )
            return _refuse(HTTPStatus.UNAUTHORIZED, "GatedRepo", message)
        file = repository.files.get(found["name"])
        if file is None:
            return _refuse(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")
        return self._content(repository, file, headers.get("Range", ""))

    def _content(self, repository: Repository, file: HubFile, asked: str) -> Answer:
        content = self._spoilt(repository, file)
        told = {
            "ETag": f'"{file.etag}"',
            "X-Repo-Commit": repository.commit,
            "X-Linked-ETag": f'"{file.etag}"',
            "X-Linked-Size": str(len(content)),
            "Accept-Ranges": "bytes",
        }
        middle = len(content) // 2 if f"{repository.model}/{file.name}" in self.faults.cut else None
        wanted = RANGE.fullmatch(asked)
        if wanted is None:
            return Answer(HTTPStatus.OK, content, told, middle)
        first, last = int(wanted[1]), int(wanted[2] or len(content) - 1)
        span = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        left = None if middle is None else max(0, middle - first)
        return Answer(HTTPStatus.PARTIAL_CONTENT, content[first : last + 1], told | span, left)

    def _spoilt(self, repository: Repository, file: HubFile) -> bytes:
        if f"{repository.model}/{file.name}" not in self.faults.corrupt:
            return file.content
        content, middle = bytearray(file.content), len(file.content) // 2
        content[middle] ^= 0xFF
        return bytes(content)

    def _package(self, name: str) -> Answer:
        path = self.config.packages / Path(name).name
        return Answer(HTTPStatus.OK, path.read_bytes()) if path.is_file() else Answer(HTTPStatus.NOT_FOUND)


class HubServer:
    """The hub on an address, in threads of its own."""

    def __init__(self, host: str, port: int, hub: Hub) -> None:
        """Bind the address.

        Raises:
            OSError: it is in use.
        """
        self._server = ThreadingHTTPServer((host, port), _handler(hub))
        self._thread = threading.Thread(target=self._server.serve_forever, name="hub", daemon=True)

    def start(self) -> None:
        """Answer until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more and give the address back."""
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._reply(with_body=False)

        def do_GET(self) -> None:
            self._reply(with_body=True)

        def _reply(self, *, with_body: bool) -> None:
            headers = {name.title(): value for name, value in self.headers.items()}
            answer = hub.answer(unquote(urlsplit(self.path).path), headers)
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(answer.body[: answer.sent])
            self.close_connection = self.close_connection or (with_body and answer.sent is not None)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler
