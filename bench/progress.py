"""The line that shows how far a run is: a bar on a terminal, a line now and then where nobody sees one."""

from __future__ import annotations

import time
from collections import deque
from statistics import median
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.records import Sample

WINDOW = 50
"""Requests that the running median of the time to first token looks back on."""
PLAIN_SECONDS = 10.0


class ProgressLine:
    """Takes the new samples as they come; `total` is the number of requests, None when time ends the run."""

    def __init__(self, console: Console, total: int | None, seconds: float | None) -> None:
        self._console, self._total, self._seconds = console, total, seconds
        self._count = self._errors = 0
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._begun: float | None = None
        self._said = time.monotonic()
        self._bar = Progress(BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console)
        self._task = self._bar.add_task("preparing prompts", total=total or seconds)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, new: list[Sample]) -> None:
        """Count the samples and show it."""
        self._count += len(new)
        self._errors += sum(sample.error is not None for sample in new)
        self._recent.extend(sample.first_token for sample in new if sample.first_token is not None)
        if new and self._begun is None:
            self._begun = min(sample.start for sample in new)
        self._show(time.monotonic(), time.time())

    def _show(self, now: float, clock: float) -> None:
        elapsed = clock - self._begun if self._begun is not None else 0.0
        text = self.text()
        if self._console.is_terminal:
            self._bar.update(self._task, description=text, completed=self._count if self._total else elapsed)
        elif now - self._said >= PLAIN_SECONDS:
            self._said = now
            self._console.print(text, markup=False, highlight=False)

    def text(self) -> str:
        """`12 of 100 requests, 1 error, first token 35 ms`: the last figure is the median of the latest requests."""
        if self._begun is None:
            return "preparing prompts"
        of = f" of {self._total}" if self._total else ""
        errors = f", {self._errors} error{'s' if self._errors != 1 else ''}" if self._errors else ""
        first = f", first token {median(self._recent) * 1000:,.0f} ms" if self._recent else ""
        return f"{self._count}{of} requests{errors}{first}"
