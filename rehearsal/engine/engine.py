"""Drives the pure model by the wall clock and tells the waiting requests when their tokens are there."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING

from rehearsal.engine import NAME, tokens
from rehearsal.engine.batch import EngineModel, Event, Kind, Limits, QueueFullError, Work
from rehearsal.engine.ledger import Entry, Ledger
from rehearsal.engine.metrics import Finished, Metrics
from rehearsal.engine.text import Answer, answer_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rehearsal.engine.arguments import EngineArguments
    from rehearsal.engine.config import EmulatorConfig
    from rehearsal.engine.requests import Ask

LOG = logging.getLogger(NAME)


class State(Enum):
    """Where the engine is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(slots=True)
class Answering:
    """One sequence on its way: what it will say, how far it is, and when things happened (seconds since 1970)."""

    index: int
    key: str
    prompt_tokens: int
    output_tokens: int
    stops: bool
    answer: Answer
    received: float
    tokens: int = 0
    cached_tokens: int = 0
    finish: str | None = None
    admitted: float | None = None
    first_token: float | None = None
    ended: float | None = None

    @property
    def text(self) -> str:
        """The text produced so far."""
        return self.answer.text(0, self.tokens)


@dataclass(slots=True)
class Group:
    """The sequences of one request; `changed` is set whenever one of them moved."""

    ask: Ask
    path: str
    request_id: str | None
    sequences: tuple[Answering, ...]
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    first_byte: float | None = None

    @property
    def done(self) -> bool:
        """Whether every sequence has ended."""
        return all(sequence.finish for sequence in self.sequences)

    async def updates(self) -> AsyncIterator[tuple[Answering, int]]:
        """Yield (sequence, tokens already told) whenever a sequence has more to tell, until all have ended."""
        told = [0] * len(self.sequences)
        open_ones = set(range(len(told)))
        while open_ones:
            await self.changed.wait()
            self.changed.clear()
            for index in sorted(open_ones):
                sequence = self.sequences[index]
                if sequence.finish:
                    open_ones.discard(index)
                if sequence.finish or sequence.tokens > told[index]:
                    before, told[index] = told[index], sequence.tokens
                    yield sequence, before


class Engine:
    """The emulated engine: `submit` requests, `await` their groups, `run` in the background."""

    def __init__(self, arguments: EngineArguments, config: EmulatorConfig, context_length: int) -> None:
        self.arguments = arguments
        self.config = config
        self.context_length = context_length
        gpus = arguments.tp_size
        self.limits = Limits(
            arguments.max_running_requests or config.max_running_requests,
            arguments.max_queued_requests,
            arguments.max_total_tokens or config.total_tokens(arguments.mem_fraction_static, gpus),
            max(arguments.page_size, config.cache_block_tokens),
        )
        self.model = EngineModel(config.rates.parallel(gpus), self.limits)
        self.metrics = Metrics(arguments.served_model_name)
        self.ledger = Ledger(config.ledger)
        self.state = State.STARTING
        self.groups: dict[str, Group] = {}
        self.prefilled_tokens = 0
        self.cached_tokens = 0
        self._work = asyncio.Event()
        self._zero = time.monotonic()

    def now(self) -> float:
        """Model time."""
        return (time.monotonic() - self._zero) / self.config.time_scale

    def submit(self, ask: Ask, path: str, request_id: str | None) -> Group:
        """Queue a request. Raises QueueFullError (nothing of the request stays behind)."""
        self._advance()
        received = time.time()
        group = Group(ask, path, request_id, tuple(self._answering(ask, i, received) for i in range(len(ask.prompts))))
        for sequence in group.sequences:
            try:
                self.model.offer(self._as_work(ask, sequence), self.now())
            except QueueFullError:
                for offered in group.sequences[: sequence.index]:
                    self.model.abort(offered.key)
                    del self.groups[offered.key]
                self._note(group, sequence, "refused")
                raise
            self.groups[sequence.key] = group
        self._work.set()
        return group

    def abort(self, group: Group) -> None:
        """Stop a request: its client went away, or asked for it."""
        for sequence in group.sequences:
            if sequence.finish is None:
                sequence.tokens = self.model.progress(sequence.key) or sequence.tokens
                self.model.abort(sequence.key)
                self.metrics.count("num_aborted_requests")
                self._end(group, sequence, "abort")
        group.changed.set()

    def abort_matching(self, prefix: str) -> None:
        """Abort the requests whose id starts with `prefix`, as /abort_request does."""
        for key, group in list(self.groups.items()):
            if key.startswith(prefix):
                self.abort(group)

    async def run(self) -> None:
        """Work until cancelled: one round per decode step, or per tick when steps are shorter."""
        while True:
            at = self.model.next_step_at()
            if at is None:
                self._work.clear()
                await self._work.wait()
            else:
                wait = (at - self.now()) * self.config.time_scale
                await asyncio.sleep(max(wait, self.config.min_tick_seconds))
            self._advance()

    def _advance(self) -> None:
        finished = []
        for event in self.model.advance(self.now()):
            self._happened(event)
            if event.kind is Kind.FINISHED:
                finished.append(event.key)
        for key in (*self.model.running, *finished):
            group = self.groups.get(key)
            if group is not None:
                self._tell(group, key, finished=key in finished)

    def _happened(self, event: Event) -> None:
        group = self.groups[event.key]
        sequence = _find(group, event.key)
        if event.kind is Kind.ADMITTED:
            sequence.admitted = time.time()
            sequence.cached_tokens = event.cached_tokens
            self.cached_tokens += event.cached_tokens
            self.prefilled_tokens += sequence.prompt_tokens - event.cached_tokens

    def _tell(self, group: Group, key: str, *, finished: bool) -> None:
        sequence = _find(group, key)
        tokens_now = sequence.output_tokens if finished else self.model.progress(key)
        if tokens_now == sequence.tokens and not finished:
            return
        sequence.first_token = sequence.first_token or time.time()
        sequence.tokens = tokens_now
        if finished:
            self._end(group, sequence, "stop" if sequence.stops else "length")
        if group.ask.stream or finished:
            group.changed.set()

    def _end(self, group: Group, sequence: Answering, finish: str) -> None:
        sequence.finish = finish
        sequence.ended = time.time()
        del self.groups[sequence.key]
        if finish != "abort":
            first = sequence.first_token or sequence.ended
            self.metrics.finished(
                Finished(
                    group.ask.stream,
                    sequence.prompt_tokens,
                    sequence.cached_tokens,
                    sequence.tokens,
                    first - sequence.received,
                    sequence.ended - sequence.received,
                    (sequence.admitted or first) - sequence.received,
                )
            )

    def close_books(self, group: Group) -> None:
        """Write the request into the ledger, once its last byte is sent or its client is gone."""
        for sequence in group.sequences:
            self._note(group, sequence, "aborted" if sequence.finish == "abort" else "complete")

    def _note(self, group: Group, sequence: Answering, finish: str) -> None:
        self.ledger.write(
            Entry(
                f"{self.arguments.host}:{self.arguments.port}",
                sequence.key,
                group.request_id,
                group.path,
                sequence.prompt_tokens,
                sequence.cached_tokens,
                sequence.tokens,
                sha256(sequence.text.encode()).hexdigest(),
                sequence.received,
                group.first_byte,
                time.time(),
                finish,
            )
        )

    def _answering(self, ask: Ask, index: int, received: float) -> Answering:
        prompt = ask.prompts[index]
        answer = answer_to(prompt, ask.seed + index)
        size = tokens.count(prompt)
        room = min(self.context_length, self.limits.max_total_tokens) - size
        natural = answer.natural_length(self.config.shortest_answer, self.config.longest_answer)
        wanted = room if ask.max_tokens is None else min(ask.max_tokens, room)
        stops = not ask.ignore_eos and natural < wanted
        base = ask.rid or uuid.uuid4().hex
        key = base if len(ask.prompts) == 1 else f"{base}_{index}"
        if key in self.groups:
            key = f"{key}_{uuid.uuid4().hex}"
        return Answering(index, key, size, natural if stops else wanted, stops, answer, received)

    def _as_work(self, ask: Ask, sequence: Answering) -> Work:
        size = self.limits.block_tokens
        prompt = ask.prompts[sequence.index]
        whole = prompt + sequence.answer.text(0, sequence.output_tokens)
        before = tokens.blocks(prompt, size)
        return Work(sequence.key, sequence.prompt_tokens, sequence.output_tokens, before, tokens.blocks(whole, size))


def _find(group: Group, key: str) -> Answering:
    return next(sequence for sequence in group.sequences if sequence.key == key)
