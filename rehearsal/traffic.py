"""Requests through the real router with the OpenAI client: each answer is checked for completeness."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from openai import DefaultHttpxClient, OpenAI, OpenAIError

REQUEST_SECONDS = 120.0
CONCURRENCY = 4
MAX_TOKENS = 24
COMPLETE = frozenset({"stop", "length"})
# Long enough that a prefix cache has something to find again.
SYSTEM_PROMPT = " ".join(
    ["You are the assistant of a rehearsal. Answer in one short sentence."]
    + [f"Rule {number}: say what is asked, in plain words, and nothing else." for number in range(1, 21)]
)


@dataclass(frozen=True)
class Ask:
    """One request."""

    number: int
    model: str
    streamed: bool


@dataclass(frozen=True)
class Answer:
    """How it went; `fault` says what an incomplete answer lacks."""

    ask: Ask
    seconds: float
    first_token_seconds: float | None
    completion_tokens: int
    cached_tokens: int
    fault: str | None = None


def plan_requests(models: Sequence[str], count: int) -> tuple[Ask, ...]:
    """`count` requests over the models in turn, every second one streamed (for each model)."""
    return tuple(Ask(n, models[n % len(models)], streamed=(n // len(models)) % 2 == 1) for n in range(count))


def make_client(base_url: str, api_key: str | None) -> OpenAI:
    """An OpenAI client that talks to the router only: no proxy, no retries (a lost request must be seen)."""
    http = DefaultHttpxClient(trust_env=False, timeout=REQUEST_SECONDS)
    return OpenAI(base_url=f"{base_url}/v1", api_key=api_key or "none", max_retries=0, http_client=http)


def _fault(text: str, reason: str | None, tokens: int) -> str | None:
    if reason not in COMPLETE:
        return f"ended with finish_reason {reason!r}"
    if not text:
        return "empty text"
    return None if tokens > 0 else "no usage"


def _plain(client: OpenAI, ask: Ask, started: float) -> Answer:
    answer = client.chat.completions.create(
        model=ask.model,
        messages=[{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": f"Question {ask.number}?"}],
        max_tokens=MAX_TOKENS,
        temperature=0,
    )
    choice, usage = answer.choices[0], answer.usage
    tokens = usage.completion_tokens if usage else 0
    details = usage.prompt_tokens_details if usage else None
    cached = (details.cached_tokens or 0) if details else 0
    fault = _fault(choice.message.content or "", choice.finish_reason, tokens)
    return Answer(ask, time.monotonic() - started, None, tokens, cached, fault)


def _streamed(client: OpenAI, ask: Ask, started: float) -> Answer:
    """A streamed request. The last chunk carries the usage; smg ends a broken stream with an error and `[DONE]`."""
    text, reason, first, tokens, cached = "", None, None, 0, 0
    with client.chat.completions.create(
        model=ask.model,
        messages=[{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": f"Question {ask.number}?"}],
        max_tokens=MAX_TOKENS,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reason = choice.finish_reason or reason
                first = first or (time.monotonic() - started if choice.delta.content else None)
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
                details = chunk.usage.prompt_tokens_details
                cached = (details.cached_tokens or 0) if details else 0
    return Answer(ask, time.monotonic() - started, first, tokens, cached, _fault(text, reason, tokens))


def send(client: OpenAI, ask: Ask) -> Answer:
    """Send one request. A failed one is an answer with a fault, not an exception: all are counted."""
    started = time.monotonic()
    try:
        return _streamed(client, ask, started) if ask.streamed else _plain(client, ask, started)
    except OpenAIError as error:
        return Answer(ask, time.monotonic() - started, None, 0, 0, f"{type(error).__name__}: {error}")


def send_all(client: OpenAI, asks: Sequence[Ask], on_answer: Callable[[Answer], None]) -> tuple[Answer, ...]:
    """Send all, a few at a time, telling about each answer as it comes."""
    answers = []
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for answer in pool.map(lambda ask: send(client, ask), asks):
            on_answer(answer)
            answers.append(answer)
    return tuple(answers)
