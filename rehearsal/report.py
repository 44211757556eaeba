"""The result of a rehearsal: phases with their times, stacks with their resources, requests, what was left."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Protocol

from rich.table import Table

from rehearsal.cdktf_output import Counts, Progress
from rehearsal.leftovers import Resource
from rehearsal.traffic import Answer


class Shown(Protocol):
    """What a scenario showed."""

    def as_json(self) -> dict[str, object]:
        """For scripts."""


@dataclass
class Phase:
    """One phase; `passed` is None while it runs."""

    name: str
    seconds: float = 0.0
    passed: bool | None = None
    detail: str = ""


@dataclass
class Stack:
    """Resources of one stack."""

    applied: int = 0
    destroyed: int = 0


@dataclass
class Report:
    """Filled in as the rehearsal goes on."""

    engine: str
    terraform: str = ""
    phases: list[Phase] = field(default_factory=list)
    stacks: dict[str, Stack] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    cache_hit_tokens: int = 0
    scenarios: list[Shown] = field(default_factory=list)
    leftovers: tuple[Resource, ...] = ()
    processes_left: tuple[int, ...] = ()
    _started: float = field(default_factory=time.monotonic)

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Time a phase; it has passed when the block ends without an exception, unless the block says otherwise."""
        current = Phase(name)
        self.phases.append(current)
        begun = time.monotonic()
        try:
            yield current
            current.passed = current.passed is not False
        except BaseException:
            current.passed = False
            raise
        finally:
            current.seconds = time.monotonic() - begun

    @property
    def seconds(self) -> float:
        """Time since the rehearsal began."""
        return time.monotonic() - self._started

    @property
    def passed(self) -> bool:
        """Whether every phase passed."""
        return bool(self.phases) and all(phase.passed for phase in self.phases)

    def applied(self, progress: Progress) -> None:
        """Take over what a deploy did."""
        for name, counts in _finished(progress):
            self.stacks.setdefault(name, Stack()).applied += counts.added + counts.changed

    def destroyed(self, progress: Progress) -> None:
        """Take over what a destroy did."""
        for name, counts in _finished(progress):
            self.stacks.setdefault(name, Stack()).destroyed += counts.destroyed

    def as_json(self) -> str:
        """For scripts."""
        document = {
            "passed": self.passed,
            "engine": self.engine,
            "terraform": self.terraform,
            "seconds": round(self.seconds, 1),
            "phases": [{**asdict(phase), "seconds": round(phase.seconds, 1)} for phase in self.phases],
            "stacks": {name: asdict(stack) for name, stack in self.stacks.items()},
            "requests": self._requests(),
            "scenarios": [result.as_json() for result in self.scenarios],
            "leftovers": [str(resource) for resource in self.leftovers],
            "processes_left": list(self.processes_left),
        }
        return json.dumps(document, indent=1)

    def _requests(self) -> dict[str, object]:
        good = [answer for answer in self.answers if answer.fault is None]
        firsts = [answer.first_token_seconds for answer in good if answer.first_token_seconds is not None]
        return {
            "sent": len(self.answers),
            "complete": len(good),
            "streamed": sum(answer.ask.streamed for answer in good),
            "completion_tokens": sum(answer.completion_tokens for answer in good),
            "median_seconds": round(median(answer.seconds for answer in good), 3) if good else None,
            "median_first_token_seconds": round(median(firsts), 3) if firsts else None,
            "prefix_cache_hit_tokens": self.cache_hit_tokens,
            "faults": [f"request {a.ask.number}: {a.fault}" for a in self.answers if a.fault is not None],
        }

    def table(self) -> Table:
        """For people."""
        verdict = "[bold green]PASS[/]" if self.passed else "[bold red]FAIL[/]"
        table = Table(title=f"Rehearsal {verdict} in {self.seconds:.0f} s, engine: {self.engine}", title_justify="left")
        table.add_column("phase")
        table.add_column("time", justify="right")
        table.add_column("result")
        table.add_column("detail", overflow="fold")
        for phase in self.phases:
            result = "[green]pass[/]" if phase.passed else "[red]FAIL[/]"
            table.add_row(phase.name, f"{phase.seconds:.1f} s", result, phase.detail)
        table.add_section()
        for name, stack in self.stacks.items():
            table.add_row(f"stack {name}", "", "", f"{stack.applied} resources applied, {stack.destroyed} destroyed")
        return table


def _finished(progress: Progress) -> list[tuple[str, Counts]]:
    return [(name, stack.counts) for name, stack in progress.stacks.items() if stack.counts is not None]
