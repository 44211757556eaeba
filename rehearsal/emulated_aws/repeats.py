"""A call that an SDK repeats, because the answer to it was lost on the way, is answered as the first time.

AWS's SDKs name a call in `amz-sdk-invocation-id` and count its attempts in `amz-sdk-request` (AWS SDKs and Tools
reference guide, "Retry behavior"). Seen twice in some hundred deployments on a busy computer: moto had taken a call
(CreateRoute, CreateInstanceProfile), its answer did not arrive, and Terraform failed because the repetition found what
the first attempt had made. Each such case is logged.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

REMEMBERED = 512
"""More than the calls of one deployment's longest burst; an SDK repeats within seconds."""

_ATTEMPT = re.compile(r"attempt=(\d+)")


@dataclass(frozen=True)
class _Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes


def repeated(environ: WSGIEnvironment) -> bool:
    """Whether this is not the first attempt of its call."""
    attempt = _ATTEMPT.search(environ.get("HTTP_AMZ_SDK_REQUEST", ""))
    return attempt is not None and int(attempt[1]) > 1


def remembering(application: WSGIApplication) -> WSGIApplication:
    """The application with this before it. Only answers of success are kept: a failure may well be tried again."""
    answered: OrderedDict[str, _Answer] = OrderedDict()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        known = answered.get(call) if repeated(environ) else None
        if known is None:
            known = _ask(application, environ)
            if call and known.status.startswith("2"):
                answered[call] = known
                if len(answered) > REMEMBERED:
                    answered.popitem(last=False)
        else:
            log.warning("call %s was repeated although it had been answered %s", call, known.status)
        start_response(known.status, known.headers)
        return (known.body,)

    return answer


def _ask(application: WSGIApplication, environ: WSGIEnvironment) -> _Answer:
    told: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:  # noqa: ANN401 - WSGI's types
        told.append((status, headers))

    chunks = application(environ, start)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return _Answer(*told[-1], body)
