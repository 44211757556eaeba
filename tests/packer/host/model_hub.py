"""A model hub on loopback with one model, and the faults that a real one has. The real client talks to it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from packer.host.facts import Bake, Model, ModelFile

MODEL_ID = "org/Tiny"
REVISION = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_madeUpTokenOfATest0123"
WEIGHTS = "model.safetensors"
FILES = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}\n',
    "original [1].txt": b"a name that a pattern would take for a choice\n",
    "sub/vocab.json": b"{}\n",
    WEIGHTS: bytes(range(256)) * 2048,
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def is_large(name: str) -> bool:
    return name == WEIGHTS


def model(files: dict[str, bytes] | None = None, **changes: Any) -> Model:
    listed = tuple(
        ModelFile(name, len(content), sha256(content), None)
        if is_large(name)
        else ModelFile(name, len(content), None, git_blob(content))
        for name, content in sorted((files or FILES).items())
    )
    values: dict[str, Any] = {"id": MODEL_ID, "revision": REVISION, "directory": "Tiny", "files": listed}
    return Model(**{**values, **changes})


def bake_of(url: str, wanted: Model | None = None) -> Bake:
    return Bake("worker", "x86_64", "0" * 20, "worker", "0.5.23", wanted or model(), url)


@dataclass
class Hub:
    """`served` is what is sent; `token` what must be shown; `cut` how many answers for the weights end early."""

    url: str = ""
    served: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    token: str | None = None
    cut: int = 0
    busy: int = 0
    spoil: int = 0
    tokens_seen: set[str | None] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)

    def content(self, name: str) -> bytes:
        content = self.served[name]
        if name == WEIGHTS and self.spoil:
            self.spoil -= 1
            return content[:-1] + bytes([content[-1] ^ 1])
        return content


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.hub.tokens_seen.add(self.headers["Authorization"])
        refusal = self._refusal(path)
        if refusal:
            self._refuse(*refusal)
        elif path.startswith("/api/"):
            self._tree()
        else:
            self._file(path.partition(f"/resolve/{REVISION}/")[2], with_body=with_body)

    def _refusal(self, path: str) -> tuple[HTTPStatus, str | None] | None:
        hub, shown = self.hub, self.headers["Authorization"]
        if hub.busy:
            hub.busy -= 1
            return HTTPStatus.SERVICE_UNAVAILABLE, None
        if MODEL_ID not in path:
            return HTTPStatus.NOT_FOUND, "RepoNotFound"
        if hub.token and shown != f"Bearer {hub.token}":
            return HTTPStatus.FORBIDDEN if shown else HTTPStatus.UNAUTHORIZED, "GatedRepo"
        return None if REVISION in path else (HTTPStatus.NOT_FOUND, "RevisionNotFound")

    def _refuse(self, status: HTTPStatus, code: str | None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _tree(self) -> None:
        entries = []
        for name, content in FILES.items():
            large = (
                {"lfs": {"oid": sha256(content), "size": len(content), "pointerSize": 130}} if is_large(name) else {}
            )
            entries.append({"type": "file", "path": name, "size": len(content), "oid": git_blob(content), **large})
        body = json.dumps(entries).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, name: str, *, with_body: bool) -> None:
        content = FILES[name]
        tag = sha256(content) if is_large(name) else git_blob(content)
        self.send_response(HTTPStatus.OK)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", f'"{tag}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not with_body:
            return
        sent = self.hub.content(name)
        if is_large(name) and self.hub.cut:
            self.hub.cut -= 1
            sent = b""  # the client starts its own count of tries anew whenever anything arrives
        self.wfile.write(sent)


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
