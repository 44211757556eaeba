"""Structured log: one JSON object a line, with time, level, program, event and fields. A secret is never in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TextIO

LogValue = str | int | float | bool | None | Sequence[str] | Mapping[str, float]

MASK = "***"


class Log:
    """Writes events of one program; `hide` names texts that are masked wherever they appear."""

    def __init__(self, program: str, stream: TextIO | None = None) -> None:
        """Write to `stream`, by default standard output (which the unit file appends to the program's log)."""
        self._program = program
        self._stream = stream or sys.stdout
        self._secrets: tuple[str, ...] = ()

    def hide(self, secret: str | None) -> None:
        """Mask `secret` in everything written from now on."""
        if secret:
            self._secrets = (*self._secrets, secret)

    def info(self, event: str, **fields: LogValue) -> None:
        """Write an event that is part of normal work."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: LogValue) -> None:
        """Write an event that an operator may have to know of; work goes on."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: LogValue) -> None:
        """Write an event after which this program does not do its work."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, LogValue]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "level": level, "program": self._program, "event": event, **fields})
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        self._stream.write(line + "\n")
        self._stream.flush()
