"""The body of an answer as it comes in: text, finish reason, usage, `[DONE]`, errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

EVENT_END = b"\n\n"
DATA = b"data:"
DONE = b"[DONE]"
SHOWN = 120


@dataclass(frozen=True)
class Usage:
    """Token counts as the engine reports them; `cached` is None when it reports none (no --enable-cache-report)."""

    prompt: int
    completion: int
    cached: int | None


class Answer:
    """Collects one answer. `error` is what the other side said instead of, or after, a text."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.reason: str | None = None
        self.usage: Usage | None = None
        self.done = False
        self.error: str | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.pieces)

    def feed(self, data: bytes) -> None:
        """Take more of the body. What cannot be read is an error of the answer, not an exception."""
        raise NotImplementedError

    def close(self) -> None:
        """No more will come."""

    def _take(self, raw: bytes, said_in: str) -> None:
        try:
            self._read(json.loads(raw), said_in)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            self.error = self.error or f"unreadable: {error!r} in {raw[:SHOWN]!r}"

    def _read(self, document: dict[str, Any], said_in: str) -> None:
        if "choices" not in document:
            self.error = self.error or error_message(document)
            return
        for choice in document["choices"]:
            if text := choice[said_in].get("content"):
                self.pieces.append(text)
            self.reason = choice["finish_reason"] or self.reason
        if usage := document.get("usage"):
            details = usage.get("prompt_tokens_details") or {}
            self.usage = Usage(usage["prompt_tokens"], usage["completion_tokens"], details.get("cached_tokens"))


class StreamedAnswer(Answer):
    """Server-sent events, each read as soon as it is whole."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        *events, self._rest = (self._rest + data).split(EVENT_END)
        for event in events:
            content = event.strip().removeprefix(DATA).strip()
            if content == DONE:
                self.done = True
            elif event.lstrip().startswith(DATA):
                self._take(content, "delta")


class WholeAnswer(Answer):
    """One JSON document, read at its end."""

    def __init__(self) -> None:
        super().__init__()
        self._raw = bytearray()

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        self._raw += data

    def close(self) -> None:
        """Read what came."""
        self._take(bytes(self._raw), "message")
        self.done = self.error is None


class ErrorAnswer(WholeAnswer):
    """The body that comes with a status other than 200."""

    def close(self) -> None:
        """Find its sentence."""
        try:
            self.error = error_message(json.loads(self._raw))
        except ValueError:
            self.error = self._raw.decode(errors="replace")[:SHOWN]


def error_message(document: object) -> str:
    """The sentence in an OpenAI or router error body, or the body itself."""
    error = document.get("error", document) if isinstance(document, dict) else document
    message = error.get("message", error) if isinstance(error, dict) else error
    return str(message)[:SHOWN]
