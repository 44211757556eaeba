"""Who may call what, and the counting of calls: two thin ASGI layers around the application."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rehearsal.engine.metrics import Metrics

OPEN_PREFIXES = ("/health", "/ready", "/metrics")
ADMIN_PATHS = frozenset({"/flush_cache", "/abort_request"})


def allowed(path: str, authorization: str | None, api_key: str | None, admin_api_key: str | None) -> bool:
    """SGLang's rule: probes and metrics are open; else the key, if one is set; admin paths prefer the admin key."""
    if path.startswith(OPEN_PREFIXES):
        return True
    expected = (admin_api_key or api_key) if path in ADMIN_PATHS else api_key
    if expected is None:
        return True
    scheme, _, token = (authorization or "").partition(" ")
    return scheme.lower() == "bearer" and secrets.compare_digest(token.encode(), expected.encode())


class KeyCheck:
    """Answers 401 to calls without the key."""

    def __init__(self, app: ASGIApp, api_key: str | None, admin_api_key: str | None) -> None:
        self.app = app
        self.keys = (api_key, admin_api_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or refuse it."""
        if scope["type"] == "http":
            header = dict(scope["headers"]).get(b"authorization")
            if not allowed(scope["path"], header.decode("latin-1") if header else None, *self.keys):
                await JSONResponse({"error": "Unauthorized"}, 401)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class CallCounter:
    """Counts calls, answers and calls in progress by path and method."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = (
            "/v1/models/{model:path}" if scope["path"].startswith("/v1/models/") else scope["path"].rstrip("/") or "/"
        )
        labels = {"endpoint": path, "method": scope["method"]}
        self.metrics.count("http_requests", **labels)
        self.metrics.move("http_requests_active", 1, **labels)

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.count("http_responses", status_code=str(message["status"]), **labels)
            await send(message)

        try:
            await self.app(scope, receive, counting)
        finally:
            self.metrics.move("http_requests_active", -1, **labels)
