"""The HTTP surface: SGLang's paths, answered by the emulated engine."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from rehearsal.engine import info, render
from rehearsal.engine.access import CallCounter, KeyCheck
from rehearsal.engine.batch import QueueFullError
from rehearsal.engine.engine import Engine, State
from rehearsal.engine.requests import (
    Ask,
    RefusedError,
    check_length,
    openai_error,
    read_body,
    read_chat,
    read_completion,
    read_generate,
    read_json,
)
from rehearsal.engine.streams import GroupResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    Endpoint = Callable[[Request], Awaitable[Response]]

FLUSHED = (
    "Cache flushed.\nPlease check backend logs for more details. "
    "(When there are running or waiting requests, the operation will not be performed.)\n"
)
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


def build_app(engine: Engine) -> ASGIApp:
    """The application with its key check and its counting."""
    app = Starlette(
        routes=[*_probe_routes(engine), *_info_routes(engine), *_control_routes(engine), *_generation_routes(engine)],
        exception_handlers={HTTPException: _plain_error},
    )
    app.router.redirect_slashes = False
    return KeyCheck(CallCounter(app, engine.metrics), engine.arguments.api_key, engine.arguments.admin_api_key)


def _probe_routes(engine: Engine) -> list[Route]:
    async def flag(_: Request) -> Response:
        return Response(status_code=200 if engine.state is State.READY else 503)

    async def health(request: Request) -> Response:
        if engine.state is not State.READY:
            return Response(status_code=503)
        if engine.config.health_generates or request.url.path != "/health":
            await asyncio.sleep(engine.config.health_seconds * engine.config.time_scale)
        return Response()

    return [_get("/ready", flag), _get("/ping", flag), _get("/health", health), _get("/health_generate", health)]


def _info_routes(engine: Engine) -> list[Route]:
    async def root(_: Request) -> Response:
        return JSONResponse("SGLang is running")

    async def model_info(_: Request) -> Response:
        return JSONResponse(info.model_info(engine))

    async def server_info(_: Request) -> Response:
        return JSONResponse(info.server_info(engine))

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [info.model_card(engine)]})

    async def model(request: Request) -> Response:
        name = request.path_params["model"]
        if name == engine.arguments.served_model_name:
            return JSONResponse(info.model_card(engine))
        message = f"The model '{name}' does not exist"
        error = {"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
        return JSONResponse({"error": error}, 404)

    return [
        _get("/", root),
        *(_get(path, model_info) for path in ("/model_info", "/get_model_info")),
        *(_get(path, server_info) for path in ("/server_info", "/get_server_info")),
        _get("/v1/models", models),
        _get("/v1/models/{model:path}", model),
        _get("/v1/loads", partial(_loads, engine)),
        *(
            _get(path, partial(_metrics, engine))
            for path in ("/metrics", "/metrics/")
            if engine.arguments.enable_metrics
        ),
    ]


async def _metrics(engine: Engine, _: Request) -> Response:
    info.set_gauges(engine)
    return Response(engine.metrics.render(), media_type=EXPOSITION)


async def _loads(engine: Engine, request: Request) -> Response:
    started = time.perf_counter()
    query = request.query_params
    include = frozenset(name.strip() for name in query.get("include", "").split(",") if name.strip())
    try:
        body = info.loads(engine, include, query.get("dp_rank"))
    except KeyError:
        return PlainTextResponse("Internal Server Error", 500)  # what SGLang 0.5.23 does with an unknown section
    finally:
        engine.metrics.observe("get_loads_duration_seconds", time.perf_counter() - started)
    if query.get("format") == "prometheus":
        return Response(info.loads_text(body), media_type=EXPOSITION)
    return JSONResponse(body)


def _control_routes(engine: Engine) -> list[Route]:
    async def flush(_: Request) -> Response:
        if engine.model.busy:
            return Response("Flush cache failed.\n", 400)
        engine.model.cache.flush()
        return Response(FLUSHED)

    async def abort(request: Request) -> Response:
        try:
            body = read_json(await request.body())
        except RefusedError as error:
            return JSONResponse(error.body, error.status)
        if body.get("abort_all"):
            engine.abort_matching("")
        elif body.get("rid"):
            engine.abort_matching(str(body["rid"]))
        return Response()

    return [Route("/flush_cache", flush, methods=["GET", "POST"]), Route("/abort_request", abort, methods=["POST"])]


def _generation_routes(engine: Engine) -> list[Route]:
    async def generate(request: Request) -> Response:
        return await _answer(engine, request, lambda body: read_generate(read_json(body), _model(engine)))

    def openai(read: Callable[[dict[str, object], str], Ask]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            content_type = request.headers.get("content-type", "")
            return await _answer(engine, request, lambda body: read(read_body(body, content_type), _model(engine)))

        return endpoint

    return [
        Route("/generate", generate, methods=["POST", "PUT"]),
        Route("/v1/completions", openai(read_completion), methods=["POST"]),
        Route("/v1/chat/completions", openai(read_chat), methods=["POST"]),
    ]


async def _answer(engine: Engine, request: Request, read: Callable[[bytes], Ask]) -> Response:
    try:
        ask = read(await request.body())
    except RefusedError as error:
        return JSONResponse(error.body, error.status)
    try:
        check_length(ask, engine.context_length, engine.limits.max_total_tokens)
        return GroupResponse(engine, engine.submit(ask, request.url.path, request.headers.get("x-request-id")))
    except RefusedError as error:
        if ask.native and ask.stream:  # SGLang has begun the stream before it looks at the length
            return _event_stream(render.native_error_event(error.body["error"]["message"], error.status))
        return JSONResponse(error.body, error.status)
    except QueueFullError:
        if ask.stream:
            return _event_stream(render.queue_full_event(native=ask.native))
        return JSONResponse(openai_error(render.QUEUE_FULL, "503", 503), 503)


def _event_stream(event: bytes) -> Response:
    return Response(event + render.DONE, media_type="text/event-stream")


def _get(path: str, endpoint: Endpoint) -> Route:
    route = Route(path, endpoint, methods=["GET"])
    route.methods = {"GET"}  # Starlette adds HEAD; SGLang answers 405 to it
    return route


def _model(engine: Engine) -> str:
    return engine.arguments.served_model_name


async def _plain_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
