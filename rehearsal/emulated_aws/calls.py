"""Which actions the emulated AWS was asked for, and which it denies, as for want of a permission."""

from __future__ import annotations

import io
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")  # Signature Version 4: the credential scope
FORM = "application/x-www-form-urlencoded"
# Verbs of actions that change nothing ("Actions, resources, and condition keys for AWS services": List and Read).
READING = ("Describe", "Get", "List", "Lookup", "BatchGet", "Decrypt")


def service_of(environ: WSGIEnvironment) -> str:
    """The service that a request was signed for; empty for one that was not signed."""
    scope = SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope[1] if scope else ""


def action_of(environ: WSGIEnvironment) -> str:
    """The action as IAM spells it, `ec2:RunInstances`; for a REST interface such as S3's the HTTP method in its place.

    A form is read from the request and put back for the application.
    """
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return f"{service_of(environ)}:{target.rpartition('.')[2]}"
    if environ.get("CONTENT_TYPE", "").partition(";")[0] == FORM:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        action = parse_qs(body.decode(errors="replace")).get("Action")
        if action:
            return f"{service_of(environ)}:{action[0]}"
    return f"{service_of(environ)}:{environ['REQUEST_METHOD']}"


def changes_something(action: str) -> bool:
    """Whether an action is one that changes something."""
    verb = action.partition(":")[2]
    return not verb.startswith(READING) and verb not in {"GET", "HEAD"}


@dataclass
class Calls:
    """Counts actions and denies some. Asked by the control port, met by the threads of the API server."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counted: Counter[str] = field(default_factory=Counter)
    _denied: frozenset[str] = frozenset()

    def deny(self, actions: Iterable[str]) -> None:
        """Deny these from now on, and no others."""
        with self._lock:
            self._denied = frozenset(actions)

    def counted(self) -> dict[str, int]:
        """How often each action was asked for since the beginning."""
        with self._lock:
            return dict(self._counted)

    def around(self, application: WSGIApplication, exempt: Callable[[WSGIEnvironment], bool]) -> WSGIApplication:
        """The application with this before it; what the rehearsal itself asks is neither counted nor denied."""

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if exempt(environ):
                return application(environ, start_response)
            action = action_of(environ)
            with self._lock:
                self._counted[action] += 1
                denied = action in self._denied
            return _deny(action, environ, start_response) if denied else application(environ, start_response)

        return answer


def _deny(action: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """EC2 answers UnauthorizedOperation with 403, the JSON services AccessDeniedException with 400."""
    message = (
        f"You are not authorized to perform this operation. User: rehearsal is not authorized to perform: {action}"
    )
    kind = environ.get("CONTENT_TYPE", "")
    if "json" in kind:
        status, body = "400 Bad Request", json.dumps({"__type": "AccessDeniedException", "message": message})
    else:
        code = "UnauthorizedOperation" if action.startswith("ec2:") else "AccessDenied"
        fault = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        status, kind = "403 Forbidden", "text/xml"
        body = f"<Response><Errors>{fault}</Errors><RequestID>rehearsal</RequestID></Response>"
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body.encode())))])
    return (body.encode(),)
