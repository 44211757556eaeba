"""Clients that share prefixes: a closed loop, each client sends its next request when the last one has ended."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from benchmarks.router_fleet import MODEL, ROUTER_HOST, ROUTER_PORT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PREFIXES = 40
PREFIX_CHARACTERS = 3_200
"""800 of the emulator's tokens: a system prompt with its tools."""
QUESTION_CHARACTERS = 128
ANSWER_TOKENS = 48
TIMEOUT_SECONDS = 90.0
PAUSE_AFTER_REFUSAL_SECONDS = 0.2


@dataclass
class Sent:
    """One request as its client saw it. Times are seconds since 1970."""

    started: float
    streamed: bool
    ended: float = 0.0
    first_byte: float | None = None
    status: int | None = None
    worker: str = ""
    fault: str = ""

    @property
    def refused(self) -> bool:
        """Told to come again before the first byte."""
        return self.status in {429, 503}


@dataclass
class Load:
    """Runs `clients` clients until told to stop; `streams` is the share of streamed requests."""

    clients: int
    streams: float = 0.0
    seed: int = 1
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a load, not a secret
        self._prefixes = [f"{number:04d} " * (PREFIX_CHARACTERS // 5) for number in range(PREFIXES)]
        self._stopped = False

    async def run(self, play: Callable[[], Awaitable[None]]) -> None:
        """Send while `play` runs, then wait for every answer."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(
            base_url=f"http://{ROUTER_HOST}:{ROUTER_PORT}", limits=limits, timeout=TIMEOUT_SECONDS, trust_env=False
        ) as http:
            clients = [asyncio.create_task(self._client(http)) for _ in range(self.clients)]
            await play()
            self._stopped = True
            await asyncio.gather(*clients)

    async def _client(self, http: httpx.AsyncClient) -> None:
        while not self._stopped:
            sent = Sent(time.time(), self._random.random() < self.streams)
            self.sent.append(sent)
            try:
                await self._ask(http, sent)
            except httpx.TransportError as error:
                sent.fault = type(error).__name__
            sent.ended = time.time()
            if sent.fault:
                await asyncio.sleep(PAUSE_AFTER_REFUSAL_SECONDS)

    async def _ask(self, http: httpx.AsyncClient, sent: Sent) -> None:
        prompt = self._random.choice(self._prefixes) + f"{self._random.getrandbits(64):016x}" * (
            QUESTION_CHARACTERS // 16
        )
        body = {"model": MODEL, "prompt": prompt, "max_tokens": ANSWER_TOKENS, "ignore_eos": True}
        async with http.stream("POST", "/v1/completions", json={**body, "stream": sent.streamed}) as answer:
            sent.status = answer.status_code
            sent.worker = answer.headers.get("x-smg-routed-worker-id", "")
            text = ""
            async for piece in answer.aiter_text():
                sent.first_byte = sent.first_byte or time.time()
                text += piece
        sent.fault = _fault(sent, text)


def _fault(sent: Sent, text: str) -> str:
    if sent.status != httpx.codes.OK:
        return f"status {sent.status}: {text[:120]}"
    if '"error"' in text:
        return "the stream ended with an error"
    return "" if '"finish_reason":"length"' in text.replace(": ", ":") else "cut"
