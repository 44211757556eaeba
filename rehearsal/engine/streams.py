"""Sending answers: events as tokens come, or one body at the end; a client that leaves aborts its request."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from rehearsal.engine import render

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from rehearsal.engine.engine import Answering, Engine, Group

EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]


class GroupResponse(Response):
    """An ASGI response that answers one group, streamed or whole, as it asked for."""

    def __init__(self, engine: Engine, group: Group) -> None:
        super().__init__()
        self.engine = engine
        self.group = group
        self.cache_report = engine.arguments.enable_cache_report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; abort the group when the client disconnects first."""
        answering = asyncio.create_task(self._stream(send) if self.group.ask.stream else self._whole())
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                whole = answering.result()
                if whole is not None:
                    self.group.first_byte = time.time()
                    await whole(scope, receive, send)
        finally:
            answering.cancel()
            leaving.cancel()
            self.engine.abort(self.group)  # does nothing to what has ended
            self.engine.close_books(self.group)

    async def _whole(self) -> JSONResponse | None:
        async for _ in self.group.updates():
            pass
        group = self.group
        if not group.ask.native:
            return JSONResponse(render.openai_answer(group, cache_report=self.cache_report))
        bodies = [render.native_answer(sequence) for sequence in group.sequences]
        return JSONResponse(bodies if group.ask.listed else bodies[0])

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        last: dict[int, float] = {}
        async for sequence, before in self.group.updates():
            now = time.time()
            self.group.first_byte = self.group.first_byte or now
            self._observe_interval(sequence, before, now, last)
            await send({"type": "http.response.body", "body": self._events(sequence, before), "more_body": True})
        tail = render.DONE
        if self.group.ask.include_usage and not self.group.ask.native:
            tail = render.event(render.usage_chunk(self.group, cache_report=self.cache_report)) + tail
        await send({"type": "http.response.body", "body": tail})

    def _observe_interval(self, sequence: Answering, before: int, now: float, last: dict[int, float]) -> None:
        """SGLang spreads the time between two sends over the tokens sent."""
        if before:
            each = (now - last[sequence.index]) / max(sequence.tokens - before, 1)
            for _ in range(sequence.tokens - before):
                self.engine.metrics.observe("inter_token_latency_seconds", each)
        last[sequence.index] = now

    def _events(self, sequence: Answering, before: int) -> bytes:
        group = self.group
        if group.ask.native:
            return render.event(render.native_answer(sequence, first_chunk=not before))
        chunks = [render.text_chunk(group, sequence, before)] if not group.ask.chat else self._chat(sequence, before)
        if group.ask.continuous_usage:
            for chunk in chunks:
                chunk["usage"] = render.usage([sequence], cache_report=group.ask.chat and self.cache_report)
        return b"".join(map(render.event, chunks))

    def _chat(self, sequence: Answering, before: int) -> list[dict[str, Any]]:
        """Role first, then text, then an event with the finish reason and no text."""
        group, index = self.group, sequence.index
        chunks = [] if before else [render.chat_chunk(group, index, {"role": "assistant", "content": ""})]
        if sequence.tokens > before:
            text = sequence.answer.text(before, sequence.tokens)
            chunks.append(render.chat_chunk(group, index, {"content": text}))
        if sequence.finish:
            chunks.append(render.chat_chunk(group, index, {}, sequence.finish))
        return chunks


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
