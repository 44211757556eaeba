"""Shows how a bake goes on: one line per phase that is over, and on a terminal the one that runs, with its time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.progress import TaskID


class PhaseProgress:
    """Phases of one build, one after another."""

    def __init__(self, console: Console, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._label = label
        self._clock = clock
        self._begun = self._phase_begun = clock()
        self._running: tuple[str, str] | None = None
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._live = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._console.print(f"{self._label}:", markup=False, highlight=False)
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.finish("failed" if kind else "")
        self._live.stop()

    @property
    def seconds(self) -> float:
        """Time since the build began."""
        return self._clock() - self._begun

    def phase(self, name: str, what: str) -> None:
        """End the phase that runs and begin another."""
        self.finish()
        self._running, self._phase_begun = (name, what), self._clock()
        if not self._console.is_terminal:  # whoever follows a log sees what goes on now
            self.note(f"{clock_time(self.seconds):>8}  {name}: {what} …")
        self._task = self._live.add_task(f"{name}: {what}", total=None)

    def finish(self, word: str = "") -> None:
        """End the phase that runs, if one does."""
        if self._running is None:
            return
        name, what = self._running
        took = clock_time(self._clock() - self._phase_begun)
        if self._console.is_terminal or word:
            self.note(f"{took:>8}  {name}: {what}{f' ({word})' if word else ''}")
        if self._task is not None:
            self._live.remove_task(self._task)
        self._running = self._task = None

    def note(self, text: str) -> None:
        """Print a line above the phase that runs."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def clock_time(seconds: float) -> str:
    """Minutes and seconds: 0:07, 12:40, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
