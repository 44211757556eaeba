"""Life of the emulator's process: boot delay, port open, warm-up, serve, drain on SIGTERM, exit when idle."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from rehearsal.engine import EMULATED_VERSION, NAME, info
from rehearsal.engine.app import build_app
from rehearsal.engine.arguments import parse_arguments
from rehearsal.engine.config import ConfigError, EmulatorConfig, load_config
from rehearsal.engine.engine import Engine, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rehearsal.engine.arguments import EngineArguments

LOG = logging.getLogger(NAME)


class Server(uvicorn.Server):
    """Uvicorn without its signal handlers: SGLang goes on serving after SIGTERM, and uvicorn would not."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def main(argv: Sequence[str]) -> int:
    """Run `python -m rehearsal.engine serve …` until SIGTERM; returns the exit status."""
    arguments = parse_arguments(argv)
    logging.basicConfig(
        level=arguments.log_level.upper(), format=f"[%(asctime)s] {NAME}: %(message)s", stream=sys.stderr
    )
    try:
        config = load_config(os.environ)
        context = arguments.context_length or _model_context(arguments.model_path) or config.context_length
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(arguments, config, context))
    except ConfigError as error:
        LOG.error("%s", error)  # noqa: TRY400  (a sentence for a person; a traceback adds nothing)
        return 2
    return 0


def _model_context(model_path: str) -> int | None:
    length = info.model_config(model_path).get("max_position_embeddings")
    return int(length) if length else None


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        # Optional: carries more streams per core.
        import uvloop  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.Loop  # type: ignore[no-any-return,unused-ignore]


async def _serve(arguments: EngineArguments, config: EmulatorConfig, context_length: int) -> None:
    # SGLang logs every argument at start, the API key included; so does this, to keep the worker's redaction tested.
    LOG.info("server_args=%s", arguments.everything)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if await _stopped_within(stop, config.boot_seconds * config.time_scale):
        return
    engine = Engine(arguments, config, context_length)
    server = Server(_uvicorn_config(engine))
    working = asyncio.create_task(engine.run())
    serving = asyncio.create_task(server.serve())
    watching = asyncio.create_task(_live(engine, stop))
    await asyncio.wait({working, serving, watching}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    watching.cancel()
    working.cancel()
    engine.ledger.close()
    if working.done() and not working.cancelled():
        working.result()  # the model failed: show why


def _uvicorn_config(engine: Engine) -> uvicorn.Config:
    return uvicorn.Config(
        build_app(engine),
        host=engine.arguments.host,
        port=engine.arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        headers=[("server", NAME)],
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=5,
    )


async def _live(engine: Engine, stop: asyncio.Event) -> None:
    """Become ready after the warm-up; after SIGTERM, return once a look finds no request left."""
    config = engine.config
    if not await _stopped_within(stop, config.warmup_seconds * config.time_scale):
        engine.state = State.READY
        LOG.info("The server is fired up and ready to roll! (emulating SGLang %s)", EMULATED_VERSION)
        await stop.wait()
    engine.state = State.DRAINING
    if config.force_shutdown:
        return
    while True:
        await asyncio.sleep(config.drain_poll_seconds * config.time_scale)
        LOG.info("Gracefully exiting... Remaining number of requests %d.", len(engine.groups))
        if not engine.groups:
            return


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
