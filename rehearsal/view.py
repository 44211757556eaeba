"""What is shown while a rehearsal runs: a live picture on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rehearsal.cdktf_output import Progress
from rehearsal.report import Phase

REFRESH_PER_SECOND = 4
SIGN_OF_LIFE_SECONDS = 15.0


class View:
    """Shows phases and, within a phase, what goes on."""

    def __init__(self, console: Console) -> None:
        """Write to `console`; it is a terminal or not."""
        self._console = console
        self._live: Live | None = None
        self._said_at = 0.0
        self._done: set[str] = set()

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Show that a phase runs, and how it ended."""
        begun = time.monotonic()
        self._done = set()
        if self._console.is_terminal:
            spinner = Spinner("dots", text=f"{phase.name} …")
            with Live(spinner, console=self._console, refresh_per_second=REFRESH_PER_SECOND, transient=True) as live:
                self._live = live
                yield
            self._live = None
        else:
            self._console.print(f"· {phase.name} …")
            yield
        detail = f": {phase.detail}" if phase.detail else ""
        mark = "[red]✗[/]" if phase.passed is False else "[green]✓[/]"
        self._console.print(f"{mark} {phase.name} ({time.monotonic() - begun:.1f} s){detail}", highlight=False)

    def say(self, phase: Phase, text: str) -> None:
        """Show what a phase is doing now. Without a terminal, a change of text at most every few seconds."""
        if self._live is not None:
            self._live.update(Spinner("dots", text=f"{phase.name}: {text}"))
        elif time.monotonic() - self._said_at > SIGN_OF_LIFE_SECONDS:
            self._console.print(f"  {text}", highlight=False, markup=False)
            self._said_at = time.monotonic()

    def stacks(self, phase: Phase, progress: Progress) -> None:
        """Show where every stack is."""
        if self._live is not None:
            self._live.update(self._picture(phase, progress))
            return
        for name, stack in progress.stacks.items():
            if stack.counts is not None and name not in self._done:
                self._done.add(name)
                self._console.print(f"  {name}: {stack.counts.total} resources done", highlight=False)
        self.say(phase, ", ".join(f"{name}: {stack.doing}" for name, stack in progress.stacks.items()))

    def _picture(self, phase: Phase, progress: Progress) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name, stack in progress.stacks.items():
            mark = "[green]✓[/]" if stack.counts is not None else " "
            count = f"{stack.finished}/{stack.planned}" if stack.planned is not None else ""
            table.add_row(Text.from_markup(f"  {mark}"), Text(name), Text(count), Text(stack.doing))
        return Group(Spinner("dots", text=f"{phase.name} …"), table)
