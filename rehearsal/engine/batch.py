"""Continuous batching as SGLang does it, in model time: prefill goes first, decode steps in between, one queue.

What it leaves out: chunks of one long prompt let no decode step through (SGLang's default too, without mixed chunks),
no request is retracted (its whole answer is reserved on admission), and a batch matches the cache before it fills it.

Between two events the batch does not change, so any number of decode steps is one piece of arithmetic: the cost is per
request, not per token. Time is an argument everywhere and never goes back.
"""

import heapq
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from rehearsal.engine.prefix_cache import PrefixCache
from rehearsal.engine.timing import Rates


class QueueFullError(Exception):
    """The waiting queue has as many requests as it may hold."""


class Kind(Enum):
    """What happened to a request."""

    ADMITTED = "admitted"
    FIRST_TOKEN = "first_token"  # noqa: S105  (a name, not a secret)
    FINISHED = "finished"


class Event(NamedTuple):
    """Something that happened to request `key` at model time `at`."""

    kind: Kind
    key: str
    at: float
    cached_tokens: int


class Work(NamedTuple):
    """A request as the model sees it: sizes and block keys; `answer_blocks` also cover the answer."""

    key: str
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    answer_blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one engine; `max_queued` None means no bound."""

    max_running: int
    max_queued: int | None
    max_total_tokens: int
    block_tokens: int
    max_prefill_tokens: int = 16_384  # SGLang's default of --max-prefill-tokens


class _Running(NamedTuple):
    work: Work
    cached: int
    private: int
    start_step: int


class EngineModel:
    """One engine. Call `advance` up to the present, then `offer` or `abort`; ask `next_step_at` when to come back."""

    def __init__(self, rates: Rates, limits: Limits) -> None:
        self.rates = rates
        self.limits = limits
        self.cache = PrefixCache(limits.max_total_tokens, limits.block_tokens)
        self.now = 0.0
        # Ordered: taking the first of a plain dict walks over all that were taken before.
        self.waiting: OrderedDict[str, tuple[Work, float]] = OrderedDict()
        self.running: dict[str, _Running] = {}
        self.prefilling: dict[str, _Running] = {}
        self._prefill_end = 0.0
        self._step = 0
        self._context = 0
        self.moments = [0.0] * 6
        self._finish: list[tuple[int, str]] = []
        self._blocked = False

    @property
    def busy(self) -> bool:
        """Whether any request waits or runs."""
        return bool(self.waiting or self.prefilling or self.running)

    @property
    def context_tokens(self) -> int:
        """Tokens that the decoding sequences hold together."""
        return self._context

    def offer(self, work: Work, now: float) -> None:
        """Take a request at `now`. Raises QueueFullError, or ValueError for one that no empty engine could hold."""
        if work.prompt_tokens + work.output_tokens > self.limits.max_total_tokens:
            raise ValueError(f"{work.key}: {work.prompt_tokens} + {work.output_tokens} tokens never fit")
        if self.limits.max_queued is not None and len(self.waiting) >= self.limits.max_queued:
            raise QueueFullError
        if not self.busy:
            self.now = max(self.now, now)
        self.waiting[work.key] = (work, now)

    def abort(self, key: str) -> bool:
        """Drop a request wherever it is; False when it is not here (any more)."""
        if self.waiting.pop(key, None) is not None:
            return True
        entry = self.prefilling.pop(key, None) or self.running.get(key)
        if entry is None:
            return False
        if key in self.running:
            self._leave(key)
        self.cache.release(entry.work.blocks, entry.private)
        self._blocked = False
        return True

    def progress(self, key: str) -> int:
        """Tokens that a decoding request has produced; 0 before its first."""
        entry = self.running.get(key)
        return 0 if entry is None else min(entry.work.output_tokens, 1 + self._step - entry.start_step)

    def next_step_at(self) -> float | None:
        """When the next token or admission can come; None when idle."""
        if self.prefilling:
            return self._prefill_end
        if self.running:
            return self.now + self.rates.step_seconds(len(self.running), self._context)
        return self.now if self.waiting else None

    def advance(self, until: float) -> list[Event]:
        """Let the engine work up to `until`; returns what happened, in order."""
        events: list[Event] = []
        while self._work_once(until, events):
            pass
        return events

    def _work_once(self, until: float, events: list[Event]) -> bool:
        if self.prefilling:
            if self._prefill_end > until:
                return False
            self._end_prefill(events)
            return True
        if self.waiting and not self._blocked and self._admit(events):
            return True
        if self.running:
            return self._decode(until, events)
        return False

    def _admit(self, events: list[Event]) -> bool:
        """Start one prefill batch, first come first served; False when the first in the queue cannot start."""
        tokens = 0
        if not self.running:
            self.now = max(self.now, next(iter(self.waiting.values()))[1])
        slots = self.limits.max_running - len(self.running)
        while self.waiting and len(self.prefilling) < slots and tokens < self.limits.max_prefill_tokens:
            key, (work, arrived) = next(iter(self.waiting.items()))
            if arrived > self.now:
                break
            entry = self._reserve(work)
            if entry is None:
                # Only a leaving request can make room; until then there is no use in asking again.
                self._blocked = not self.prefilling
                break
            del self.waiting[key]
            self.prefilling[key] = entry
            tokens += work.prompt_tokens - entry.cached
            events.append(Event(Kind.ADMITTED, key, self.now, entry.cached))
        if self.prefilling:
            self._prefill_end = self.now + self.rates.prefill_seconds(tokens)
        return bool(self.prefilling)

    def _reserve(self, work: Work) -> _Running | None:
        size = self.limits.block_tokens
        # The last prompt token is always computed: its logits give the first new token.
        cached = min(self.cache.match(work.blocks) * size, work.prompt_tokens - 1)
        private = work.prompt_tokens - len(work.blocks) * size + work.output_tokens
        return _Running(work, cached, private, 0) if self.cache.reserve(work.blocks, private) else None

    def _end_prefill(self, events: list[Event]) -> None:
        self.now = self._prefill_end
        started, self.prefilling = self.prefilling, {}
        for key, entry in started.items():
            self.running[key] = entry._replace(start_step=self._step)
            self._context += entry.work.prompt_tokens + 1
            heapq.heappush(self._finish, (self._step + max(entry.work.output_tokens, 1) - 1, key))
            events.append(Event(Kind.FIRST_TOKEN, key, self.now, entry.cached))
        self._finish_due(events)

    def _decode(self, until: float, events: list[Event]) -> bool:
        batch = len(self.running)
        steps = min(self._finish[0][0] - self._step, self.rates.steps_within(until - self.now, batch, self._context))
        if steps > 1 and self.waiting and not self._blocked and batch < self.limits.max_running:
            steps = 1  # somebody arrived during this step: look again right after it
        if steps < 1:
            return False
        seconds = self.rates.steps_seconds(steps, batch, self._context)
        self._remember(steps, batch, seconds)
        self.now += seconds
        self._context += steps * batch
        self._step += steps
        self._finish_due(events)
        return True

    def _remember(self, steps: int, batch: int, seconds: float) -> None:
        """Sums over decode steps, as in SGLang: steps, batch, microseconds, batch squared, their product, tokens."""
        micros = seconds * 1e6
        added = (steps, steps * batch, micros, steps * batch * batch, batch * micros, steps * batch)
        self.moments = [total + more for total, more in zip(self.moments, added, strict=True)]

    def _finish_due(self, events: list[Event]) -> None:
        while self._finish and self._finish[0][0] <= self._step:
            key = self._finish[0][1]
            entry = self._leave(key)
            self.cache.release(entry.work.blocks, entry.private)
            self.cache.keep(entry.work.answer_blocks)
            self._blocked = False
            events.append(Event(Kind.FINISHED, key, self.now, entry.cached))

    def _leave(self, key: str) -> _Running:
        entry = self.running.pop(key)
        self._context -= entry.work.prompt_tokens + 1 + self._step - entry.start_step
        due = (entry.start_step + max(entry.work.output_tokens, 1) - 1, key)
        if self._finish[0] == due:
            heapq.heappop(self._finish)
        else:  # an aborted request: rare, so the linear search does not matter
            self._finish.remove(due)
            heapq.heapify(self._finish)
        return entry
