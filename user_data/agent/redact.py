"""Takes a secret out of a byte stream, whatever the pieces it arrives in, holding back no more than its length.

Needed because SGLang logs all of its arguments at start, the API key among them.
"""

from __future__ import annotations

import os
from typing import IO

from user_data.agent.log import MASK

CHUNK_BYTES = 65_536


class Redactor:
    """Replaces every occurrence of `secret`; with no secret it passes everything through."""

    def __init__(self, secret: str | None) -> None:
        """`secret` as it would appear in the stream, UTF-8."""
        self._secret = (secret or "").encode()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return those that can be shown. Only a possible beginning of the secret is kept."""
        if not self._secret:
            return data
        clean = (self._held + data).replace(self._secret, MASK.encode())
        shown = len(clean) - self._overlap(clean)
        self._held = clean[shown:]
        return clean[:shown]

    def finish(self) -> bytes:
        """Return what was held back at the end of the stream."""
        rest, self._held = self._held, b""
        return rest

    def _overlap(self, data: bytes) -> int:
        """Length of the longest end of `data` that the secret begins with."""
        longest = min(len(self._secret) - 1, len(data))
        return next((n for n in range(longest, 0, -1) if self._secret.startswith(data[-n:])), 0)


def pump(source: IO[bytes], target: IO[bytes], secret: str | None) -> None:
    """Copy `source` to `target` without the secret until `source` ends, each piece as soon as it is there."""
    redactor = Redactor(secret)
    while data := os.read(source.fileno(), CHUNK_BYTES):
        _write(target, redactor.feed(data))
    _write(target, redactor.finish())


def _write(target: IO[bytes], data: bytes) -> None:
    if data:
        target.write(data)
        target.flush()
