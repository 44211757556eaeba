"""A load that runs beside a scenario: it keeps so many requests in flight, and remembers each of them.

It has a thread and an event loop of its own. A scenario calls it from its own thread; whatever crosses over is either a
whole tuple made from one read of a list or dict, or a call put into the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from urllib.parse import urlsplit

from rehearsal.scenarios.answer import Answer, ErrorAnswer, StreamedAnswer, WholeAnswer
from rehearsal.scenarios.prompts import Ask, LoadPlan, ask_of, expected_text
from rehearsal.scenarios.record import OK, Break, Outcome, Received, Record, conclude
from rehearsal.scenarios.wire import MalformedError, ResponseReader

PATH = "/v1/chat/completions"
WORKER_HEADER = "x-smg-routed-worker-id"
# Ending 200 tasks takes milliseconds; this only bounds a fault of the load itself.
CUT_SECONDS = 10.0


class LoadError(Exception):
    """The load is used in the wrong order, or its thread failed."""


@dataclass(frozen=True)
class Timed:
    """A request of an open loop: sent so many seconds after the load's start, whatever became of those before it."""

    at: float
    ask: Ask


@dataclass(frozen=True)
class InFlight:
    """A request that has not ended yet; `worker` is known once the answer's head is there."""

    id: str
    streamed: bool
    sent: float
    worker: str | None
    first_byte: float | None
    received_bytes: int


class Load:
    """Sends what a plan says to one address until told to stop; used once.

    With `timed`, in order of time, it is an open loop of these requests, and the plan says only how they are judged.
    """

    def __init__(
        self, plan: LoadPlan, base_url: str, api_key: str | None, timed: Sequence[Timed] | None = None
    ) -> None:
        self.plan = plan
        self._timed = timed
        self._target = _Target.of(base_url, api_key)
        self._records: list[Record] = []
        self._flights: dict[str, _Flight] = {}
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._given_up = asyncio.Event()
        self._result: Future[None] = Future()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin. Raises LoadError when it has begun before."""
        if self._thread is not None:
            raise LoadError("a load can be started once")
        # A daemon: a scenario that fails must not wait for streams of a minute before it can say so.
        self._thread = Thread(target=self._work, name=f"load {self.plan.name}", daemon=True)
        self._thread.start()

    def stop_sending(self) -> None:
        """Let what is in flight go on, and send nothing new."""
        self._tell(self._stopping)

    def finish(self, limit_seconds: float) -> tuple[Record, ...]:
        """Stop sending and wait until everything in flight has ended.

        What has not ended after `limit_seconds` is cut, and lost with the fault "still open".

        Raises:
            LoadError: it was never started, or its thread failed (the cause is attached).
        """
        if self._thread is None:
            raise LoadError("a load that was not started cannot be finished")
        self.stop_sending()
        self._thread.join(limit_seconds)
        self._tell(self._given_up)
        self._thread.join(CUT_SECONDS)
        if not self._result.done():
            raise LoadError(f"the load's thread still runs {CUT_SECONDS:.0f} s after its requests were cut")
        if (failure := self._result.exception()) is not None:
            raise LoadError(f"the load's thread failed: {failure!r}") from failure
        return self.records_so_far()

    def records_so_far(self) -> tuple[Record, ...]:
        """The requests that have ended, in the order of their ends."""
        return tuple(self._records)

    def in_flight(self) -> tuple[InFlight, ...]:
        """The requests that have not."""
        return tuple(flight.seen() for flight in tuple(self._flights.values()))

    def _tell(self, event: asyncio.Event) -> None:
        if not self._result.done():
            try:
                self._loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # the loop was closed since: there is nobody left to tell
                return

    def _work(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._send_all())
        except BaseException as error:  # noqa: BLE001  (raised again by `finish`, in the scenario's thread)
            self._result.set_exception(error)
        else:
            self._result.set_result(None)

    async def _send_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            if self._timed is not None:
                await self._send_in_time(self._timed, tasks)
                return
            for slot in range(self.plan.concurrency):
                tasks.create_task(self._slot(slot))

    async def _send_in_time(self, timed: Sequence[Timed], tasks: asyncio.TaskGroup) -> None:
        begun = self._loop.time()
        for one in timed:
            await self._pause(begun + one.at - self._loop.time())
            if self._stopping.is_set():
                return
            tasks.create_task(self._request(one.ask))

    async def _slot(self, slot: int) -> None:
        await self._pause(self.plan.ramp_seconds * slot / self.plan.concurrency)
        turn = 0
        while not self._stopping.is_set():
            record = await self._request(ask_of(self.plan, slot, turn))
            turn += 1
            if record.outcome is not Outcome.COMPLETE:
                await self._pause(self.plan.pause_seconds)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the load sends."""
        waiting = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({waiting}, timeout=max(seconds, 0.0))
        waiting.cancel()

    async def _request(self, ask: Ask) -> Record:
        flight = _Flight(ask, self._target.request(ask))
        self._flights[ask.id] = flight
        exchange = asyncio.ensure_future(self._exchange(flight))
        giving_up = asyncio.ensure_future(self._given_up.wait())
        await asyncio.wait(
            {exchange, giving_up}, timeout=self.plan.timeout_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if exchange.done():
            exchange.result()
        elif giving_up.done():
            flight.end(Break.STILL_OPEN, "still open")
        else:
            flight.end(Break.TIMEOUT, f"no end within {self.plan.timeout_seconds:g} s")
        exchange.cancel()
        giving_up.cancel()
        record = flight.record(expected_text(ask) if self.plan.text_known else None)
        # In this order: a reader between the two sees the request twice rather than not at all.
        self._records.append(record)
        del self._flights[ask.id]
        return record

    async def _exchange(self, flight: _Flight) -> None:
        try:
            await self._loop.create_connection(lambda: flight, self._target.host, self._target.port)
        except OSError as error:
            flight.end(Break.CONNECTION, f"not connected: {error.strerror or error}")
        await flight.over.wait()


class _Flight(asyncio.Protocol):
    """One request on its own connection: a kept-alive one may break for reasons that are not this request's."""

    def __init__(self, ask: Ask, request: bytes) -> None:
        answer: Answer = StreamedAnswer() if ask.streamed else WholeAnswer()
        self.ask = ask
        self.over = asyncio.Event()
        self.received = Received(time.time(), answer)
        self._request = request
        self._reader = ResponseReader()
        self._transport: asyncio.BaseTransport | None = None
        self._ended: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = transport
        if self._ended is not None:  # cut while it connected
            transport.close()
        elif isinstance(transport, asyncio.WriteTransport):
            transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take what came of the response."""
        if self._ended is not None:
            return
        try:
            body = self._reader.feed(data)
        except (MalformedError, ValueError) as error:
            self.end(Break.MALFORMED, f"malformed response: {error}")
            return
        received = self.received
        received.count = self._reader.received
        if received.status is None and self._reader.head is not None:
            received.status = self._reader.head.status
            received.worker = self._reader.head.headers.get(WORKER_HEADER)
            if received.status != OK:
                received.answer = ErrorAnswer()
        if body:
            received.answer.feed(body)
            if received.first_byte is None and (received.answer.pieces or not self.ask.streamed):
                received.first_byte = time.time()
        if self._reader.whole:
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: that ends a response of unknown length, and breaks any other."""
        if self._ended is not None:
            return
        self._reader.closed()
        if exc is None and self._reader.whole:
            self.end()
        else:
            how = "reset" if exc else "closed"
            when = f"after {self._reader.received} bytes" if self._reader.received else "before any byte of an answer"
            self.end(Break.CONNECTION, f"connection {how} {when}")

    def end(self, broken: Break | None = None, detail: str = "") -> None:
        """Note the end, once, and let the connection go."""
        if self._ended is not None:
            return
        self._ended = time.time()
        self.received.broken, self.received.detail = broken, detail
        if broken is None:
            self.received.answer.close()
        if self._transport is not None:
            self._transport.close()
        self.over.set()

    def record(self, expected: str | None) -> Record:
        """How it went, after its end."""
        return conclude(self.ask, expected, self.received, self._ended or time.time())

    def seen(self) -> InFlight:
        """How it goes."""
        received = self.received
        return InFlight(
            self.ask.id, self.ask.streamed, received.sent, received.worker, received.first_byte, received.count
        )


@dataclass(frozen=True)
class _Target:
    host: str
    port: int
    api_key: str | None

    @classmethod
    def of(cls, base_url: str, api_key: str | None) -> _Target:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or parts.hostname is None:
            raise LoadError(f"base_url: {base_url!r} is not an http:// address; the rehearsal's router has no TLS")
        return cls(parts.hostname, parts.port or 80, api_key)

    def request(self, ask: Ask) -> bytes:
        body = ask.body()
        key = f"authorization: Bearer {self.api_key}\r\n" if self.api_key else ""
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {ask.id}\r\nconnection: close\r\n{key}\r\n"
        )
        return head.encode() + body
