"""A model hub with made-up models, as far as `packer.hub` asks one."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "a" * 40
OTHER_COMMIT = "b" * 40
TOKEN, UNKNOWN_TOKEN = "hf_madeupfortests", "hf_unknown"
MODEL = "org/tiny"
SHA = "c" * 64


def sibling(name: str, size: int, *, lfs: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": name, "size": size, "blobId": "d" * 40}
    if lfs:
        told["lfs"] = {"sha256": SHA, "size": size, "pointerSize": 134}
    return told


FILES = [
    sibling("config.json", 600),
    sibling("tokenizer.json", 1_000),
    sibling("model.safetensors", 50_000_000, lfs=True),
    sibling("README.md", 300),
    sibling("pytorch_model.bin", 50_000_000, lfs=True),
]


@dataclass
class FakeHub:
    """What the hub holds; a test may change it between two looks."""

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, name: str, *, gated: bool = False, files: list[dict[str, Any]] | None = None) -> None:
        siblings = FILES if files is None else files
        self.models[name] = {"id": name, "sha": COMMIT, "gated": gated, "private": False, "siblings": siblings}


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        self.hub.seen.append(self.path)
        path = urlsplit(self.path).path.strip("/").split("/")
        if self.hub.answers:
            self._send(*self.hub.answers.pop(0), b"{}")
        elif path[:2] == ["api", "models"]:
            self._describe("/".join(path[2:4]), path[5] if len(path) > 5 else None)
        else:
            self._file("/".join(path[:2]))

    def _describe(self, name: str, revision: str | None) -> None:
        if name not in self.hub.models:
            self._send(401, {"X-Error-Code": "RepoNotFound"}, b"{}")
        elif revision not in (None, COMMIT, OTHER_COMMIT):
            self._send(404, {"X-Error-Code": "RevisionNotFound"}, b"{}")
        else:
            told = {**self.hub.models[name], "sha": revision or self.hub.models[name]["sha"]}
            self._send(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _file(self, name: str) -> None:
        given = self.headers.get("Authorization")
        if given == f"Bearer {TOKEN}" or not self.hub.models[name]["gated"]:
            self._send(200, {"X-Repo-Commit": COMMIT, "ETag": '"abc"', "Content-Length": "0"}, b"")
        elif given == f"Bearer {UNKNOWN_TOKEN}":
            self._send(401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b"")
        else:
            self._send(403 if given else 401, {"X-Error-Code": "GatedRepo"}, b"")

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving() -> Iterator[FakeHub]:
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
