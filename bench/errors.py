"""Why a benchmark cannot be run, or has no result: one sentence with a remedy."""

from __future__ import annotations

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130


class BenchError(Exception):
    """`code` is the exit status: 2 when what was asked for cannot be done, 1 when the endpoint or a program failed."""

    def __init__(self, message: str, code: int = BAD_INPUT) -> None:
        super().__init__(message)
        self.code = code
