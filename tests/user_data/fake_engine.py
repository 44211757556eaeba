"""The few routes of SGLang's HTTP API that router and agent call; standard library only, so that it starts at once.

Run by path it behaves like the `sglang` command: `fake_engine.py serve --model-path P --host H --port N --config Y`.
Behaviour is steered by environment variables, see `main`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

OPEN_PATHS = ("/health", "/ready", "/metrics")  # SGLang leaves these open when a key is set


@dataclass
class Engine:
    """What one fake engine answers, and what it was asked."""

    model: str = "tiny"
    api_key: str | None = None
    name: str = "engine"
    healthy: bool = True
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    hold: threading.Event | None = None  # chat completions wait until it is set

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/v1/models":
            return {"object": "list", "data": [{"id": self.model, "object": "model", "owned_by": "sglang"}]}
        if path in {"/server_info", "/get_server_info"}:
            return {"served_model_name": self.model, "model_path": f"/models/{self.model}", "version": "0.5.23"}
        if path in {"/model_info", "/get_model_info"}:
            return {"model_path": f"/models/{self.model}", "is_generation": True}
        if path == "/generate":
            return {"text": f"from {self.name}", "meta_info": {"completion_tokens": 1}}
        if path == "/v1/chat/completions":
            if self.hold:
                self.hold.wait(60)
            message = {"role": "assistant", "content": f"from {self.name}"}
            return {
                "id": "x",
                "object": "chat.completion",
                "created": 0,
                "model": body.get("model"),
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        return {}


class QuietServer(ThreadingHTTPServer):
    """Says nothing when a client hangs up."""

    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        del request, client_address


def handler_class(engine: Engine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(length)
            authorization = self.headers.get("authorization")
            path = self.path.split("?")[0]
            engine.seen.append((path, authorization))
            expected = f"Bearer {engine.api_key}" if engine.api_key else None
            status, answer = 200, engine.answer(path, json.loads(raw) if raw else {})
            if expected and authorization != expected and path not in OPEN_PATHS:
                status, answer = 401, {"error": "Unauthorized"}
            elif path in {"/health", "/ready"} and not engine.healthy:
                status = 503
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = _answer  # noqa: N815 - the base class's name
        do_POST = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            del format, args

    return Handler


def serve(engine: Engine, host: str, port: int) -> ThreadingHTTPServer:
    """Start answering in a thread; the caller shuts the server down."""
    server = QuietServer((host, port), handler_class(engine))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("--model-path", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", default="tiny")
    parser.add_argument("--config")
    return parser.parse_known_args()[0]


def main() -> None:
    """FAKE_ENGINE_DELAY: seconds before it listens; FAKE_ENGINE_EXIT: exit with this code instead of listening."""
    arguments = _arguments()
    key = None
    if arguments.config:
        key = json.loads(Path(arguments.config).read_text().partition(":")[2])
    sys.stdout.write(f"server_args=ServerArgs(api_key='{key}', port={arguments.port}) argv={sys.argv[1:]}\n")
    sys.stdout.write(f"inductor cache {os.environ.get('TORCHINDUCTOR_CACHE_DIR')}\n")
    sys.stdout.flush()
    if "FAKE_ENGINE_EXIT" in os.environ:
        sys.exit(int(os.environ["FAKE_ENGINE_EXIT"]))
    time.sleep(float(os.environ.get("FAKE_ENGINE_DELAY", "0")))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = serve(Engine(model=arguments.served_model_name, api_key=key), arguments.host, arguments.port)
    stop.wait()
    server.shutdown()
    sys.stdout.write("drained\n")


if __name__ == "__main__":
    main()
