"""The HTTP front of the emulated AWS: moto's application on a threaded server."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from flask import Flask, request
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response

from rehearsal.emulated_aws.calls import Calls
from rehearsal.emulated_aws.faults import ApiFaults, of_rehearsal
from rehearsal.emulated_aws.repeats import remembering

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)


def _application(service: str) -> Flask:
    application: Flask = create_backend_app(service)  # type: ignore[arg-type]
    application.register_error_handler(NotImplementedError, _refuse)
    return application


def _refuse(error: NotImplementedError) -> Response:
    """Answer 400 for an action that moto lacks. Its 500 is retried by AWS clients, by Terraform for many minutes."""
    log.error("the emulated AWS does not know an action: %s", error)
    kind, body = refusal(request.content_type or "", str(error))
    return Response(body, status=400, content_type=kind)


def refusal(content_type: str, message: str) -> tuple[str, str]:
    """An error in the protocol of the request: JSON, or the XML of the query protocols."""
    if "json" in content_type:
        return content_type, json.dumps({"__type": "UnknownOperationException", "message": message})
    fault = f"<Error><Code>InvalidAction</Code><Message>{escape(message)}</Message></Error>"
    return "text/xml", f"<Response><Errors>{fault}</Errors><RequestID>rehearsal</RequestID></Response>"


def one_at_a_time(application: WSGIApplication) -> WSGIApplication:
    """Answer one request after another: moto's models are not made for threads.

    Two that meet there may fail one with a 500. A fault's delay is outside, and holds nobody else up.
    """
    turn = threading.Lock()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with turn:
            return application(environ, start_response)

    return answer


class ApiServer:
    """The emulated AWS API, answering in threads of its own."""

    def __init__(self, host: str, port: int, faults: ApiFaults | None = None, calls: Calls | None = None) -> None:
        """Bind the address; whoever holds `faults` can make the API fail, with `calls` deny actions and count them.

        Raises:
            OSError: the address is in use.
        """
        application = one_at_a_time(remembering(DomainDispatcherApplication(_application)))
        application = (calls or Calls()).around(application, of_rehearsal)
        self._server: BaseWSGIServer = make_server(
            host,
            port,
            (faults or ApiFaults()).around(application),
            threaded=True,
            request_handler=MotoRequestHandler,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="aws-api", daemon=True)

    def start(self) -> None:
        """Answer requests until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more and give the address back."""
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.server_close()
