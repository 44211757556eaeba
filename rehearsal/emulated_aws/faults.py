"""Faults of the AWS API as its callers see them: no answer, throttling, late answers.

Every caller meets them (on-host programs, Terraform, `fleet`) but the rehearsal itself, which has to look on while the
API is down: its own clients (`rehearsal.leftovers.client`) add REHEARSAL_AGENT to their User-Agent header. What the
supervisor asks of the emulated EC2 does not go through the API at all.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from rehearsal.emulated_aws.calls import service_of
from rehearsal.orders import AwsFault

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REHEARSAL_AGENT = "md/sglang-fleet-rehearsal"


def of_rehearsal(environ: WSGIEnvironment) -> bool:
    """Whether the rehearsal itself asks."""
    return REHEARSAL_AGENT in environ.get("HTTP_USER_AGENT", "")


class NoAnswerError(ConnectionAbortedError):
    """The connection was closed instead of answered; the server takes it for a client that went away."""


@dataclass(frozen=True)
class Throttling:
    """The error of a service that throttles."""

    status: HTTPStatus
    content_type: str
    body: str


def throttling(service: str, content_type: str) -> Throttling:
    """The throttling error in the protocol of the request.

    EC2 answers RequestLimitExceeded with 503 (EC2 developer guide, "Request throttling for the Amazon EC2 API"), S3
    SlowDown with 503 (S3 API reference, "Error responses"), the JSON protocols ThrottlingException with 400 ("Common
    errors" of each API reference), the other query services Throttling with 400, which is what Auto Scaling sends
    (seen in https://github.com/kubernetes/autoscaler/issues/252; botocore retries both names).
    """
    if "json" in content_type:
        document = {"__type": "ThrottlingException", "message": "Rate exceeded"}
        return Throttling(HTTPStatus.BAD_REQUEST, content_type, json.dumps(document))
    if service == "s3":
        text = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
        return Throttling(HTTPStatus.SERVICE_UNAVAILABLE, "application/xml", text)
    if service == "ec2":
        fault = "<Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>"
        text = f"<Response><Errors>{fault}</Errors><RequestID>rehearsal</RequestID></Response>"
        return Throttling(HTTPStatus.SERVICE_UNAVAILABLE, "text/xml", text)
    fault = "<Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
    text = f"<ErrorResponse>{fault}<RequestId>rehearsal</RequestId></ErrorResponse>"
    return Throttling(HTTPStatus.BAD_REQUEST, "text/xml", text)


class ApiFaults:
    """The fault that the API has now, if any. Set by the control port, met by the threads of the API server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault: AwsFault | None = None
        self._calls = 0

    def set(self, fault: AwsFault | None) -> None:
        """Have this fault instead of whatever there was; None for no fault."""
        with self._lock:
            self._fault, self._calls = fault, 0

    def of_call(self, agent: str) -> AwsFault | None:
        """The fault that a call by this User-Agent meets. Of n calls exactly the whole part of n x share meet it."""
        if REHEARSAL_AGENT in agent:
            return None
        with self._lock:
            if self._fault is None:
                return None
            self._calls += 1
            met = int(self._calls * self._fault.share) > int((self._calls - 1) * self._fault.share)
            return self._fault if met else None

    def around(self, application: WSGIApplication) -> WSGIApplication:
        """The API server's application with the faults before it."""

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            fault = self.of_call(environ.get("HTTP_USER_AGENT", ""))
            match fault and fault.kind:
                case "down":
                    _hang_up(environ["werkzeug.socket"])
                case "throttled":
                    return _throttle(environ, start_response)
            answered = application(environ, start_response)
            if fault is not None:
                time.sleep(fault.seconds)  # the call has had its effect: the worse case for a client that gives up
            return answered

        return answer


def _hang_up(connection: socket.socket) -> None:
    """Close a connection without an answer. Raises NoAnswerError, always."""
    connection.shutdown(socket.SHUT_RDWR)
    raise NoAnswerError


def _throttle(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    error = throttling(service_of(environ), environ.get("CONTENT_TYPE", ""))
    body = error.body.encode()
    headers = [("Content-Type", error.content_type), ("Content-Length", str(len(body)))]
    start_response(f"{error.status.value} {error.status.phrase}", headers)
    return (body,)
