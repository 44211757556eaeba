"""One request as its client saw it, and the rule that decides what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from rehearsal.scenarios.answer import Answer
from rehearsal.scenarios.prompts import Ask

OK = 200
RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
"""The statuses that a client may answer by sending the request again."""
FINISHED = frozenset({"stop", "length"})


class Outcome(Enum):
    """What became of a request. Every request has exactly one."""

    COMPLETE = "complete"
    REFUSED = "refused"
    LOST = "lost"


class Break(Enum):
    """How an exchange ended when its response did not."""

    CONNECTION = "connection"
    """Refused, reset, or closed by the other side."""
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    STILL_OPEN = "still open"
    """The client's own end: the load was told to finish."""


@dataclass(frozen=True)
class Record:
    """One request, seen by its client. Times are seconds since 1970, as in the engines' ledgers."""

    id: str
    streamed: bool
    model: str
    prompt_key: str
    sent: float
    first_byte: float | None
    """When the first text of a stream came, or the first byte of another body; a status alone does not count."""
    ended: float
    status: int | None
    worker: str | None
    """The URL that the router sent it to, from x-smg-routed-worker-id."""
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int
    """As the answer's usage says; of an answer cut before it, the pieces of text that came (one per decode step)."""
    cached_tokens: int | None
    expected_tokens: int
    sha256: str
    """Of the text received."""
    expected_sha256: str | None
    """Of the text that the emulator must have sent; None where a real engine answers."""
    outcome: Outcome
    fault: str | None

    @property
    def seconds(self) -> float:
        """From sending to the end."""
        return self.ended - self.sent


@dataclass
class Received:
    """What has come of a response so far."""

    sent: float
    answer: Answer
    count: int = 0
    """Bytes, the status line included."""
    first_byte: float | None = None
    status: int | None = None
    worker: str | None = None
    broken: Break | None = None
    detail: str = ""


def conclude(ask: Ask, expected_text: str | None, received: Received, ended: float) -> Record:
    """The record of a request that has ended, in whatever way."""
    answer = received.answer
    text_hash = _hash(answer.text)
    expected_hash = None if expected_text is None else _hash(expected_text)
    outcome, fault = judge(ask, received)
    if outcome is Outcome.COMPLETE and expected_hash not in (None, text_hash):
        outcome, fault = Outcome.LOST, "the text is not what the engine must have sent"
    usage = answer.usage
    return Record(
        id=ask.id,
        streamed=ask.streamed,
        model=ask.model,
        prompt_key=ask.prompt_key,
        sent=received.sent,
        first_byte=received.first_byte,
        ended=ended,
        status=received.status,
        worker=received.worker,
        finish_reason=answer.reason,
        prompt_tokens=usage.prompt if usage else None,
        completion_tokens=usage.completion if usage else len(answer.pieces),
        cached_tokens=usage.cached if usage else None,
        expected_tokens=ask.max_tokens,
        sha256=text_hash,
        expected_sha256=expected_hash,
        outcome=outcome,
        fault=fault,
    )


def judge(ask: Ask, received: Received) -> tuple[Outcome, str | None]:
    """What became of a request, and why if it is not complete.

    Refused, so that the client may send it again, is only: a retryable status; a connection that was refused or broke
    before any byte of the response arrived (nothing was received, so nothing can be received twice); and, in a stream,
    an error event before the first text. A time limit is no refusal: the answer may still be on its way. All else that
    is not complete is lost.
    """
    if received.status is None:
        if received.broken is Break.CONNECTION and received.count == 0:
            return Outcome.REFUSED, received.detail
        return Outcome.LOST, received.detail
    error = received.answer.error
    if received.status != OK:
        outcome = Outcome.REFUSED if received.status in RETRYABLE else Outcome.LOST
        return outcome, f"HTTP {received.status}: {error or received.detail or 'no reason given'}"
    if error is not None:
        early = ask.streamed and not received.answer.pieces
        return (Outcome.REFUSED, f"error event: {error}") if early else (Outcome.LOST, f"error in the answer: {error}")
    fault = received.detail if received.broken else _lack(ask, received.answer)
    return (Outcome.LOST, fault) if fault else (Outcome.COMPLETE, None)


def _lack(ask: Ask, answer: Answer) -> str | None:
    """What an answer that ended without an error still lacks."""
    if not answer.done:
        return "the stream ended without [DONE]"
    if answer.reason not in FINISHED:
        return f"finish_reason is {answer.reason!r}"
    if answer.usage is None:
        return "no usage"
    if answer.usage.completion != ask.max_tokens:
        return f"{answer.usage.completion} of {ask.max_tokens} tokens"
    return None


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
