"""What the engine was asked and what it sent, one JSON line per request: the counterpart of a client's own ledger."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True)
class Entry:
    """One answered, aborted or refused request. Times are seconds since 1970; `sha256` is of the text sent."""

    engine: str
    rid: str
    request_id: str | None
    path: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    sha256: str
    started: float
    first_byte: float | None
    ended: float
    finish: str
    """complete, aborted (by the client, /abort_request) or refused (the queue was full)."""


class Ledger:
    """Appends entries to a file; without a path it forgets them."""

    def __init__(self, path: str | None) -> None:
        self._file: TextIO | None = None
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # Line buffered: a reader sees whole lines, and a killed engine loses none that it wrote.
            self._file = Path(path).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115  (open for the engine's life)

    def write(self, entry: Entry) -> None:
        """Append one entry."""
        if self._file is not None:
            self._file.write(json.dumps(asdict(entry)) + "\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read_ledger(path: Path) -> tuple[Entry, ...]:
    """All entries of a ledger file."""
    return tuple(Entry(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())
