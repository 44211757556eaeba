"""What `cdktf deploy` and `cdktf destroy` print, read as the progress of each stack."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_STACK_LINE = re.compile(r"^(?P<stack>[A-Za-z0-9_-]+)  (?P<text>\S.*)$")
_DONE = re.compile(r"(?:Apply|Destroy) complete! Resources: (?:(\d+) added, (\d+) changed, )?(\d+) destroyed")
_PLAN = re.compile(r"Plan: (\d+) to add, (\d+) to change, (\d+) to destroy")
_STEPS = "Creating|Destroying|Modifying|Creation complete|Destruction complete|Modifications complete"
_RESOURCE = re.compile(rf"^(?P<name>[a-z0-9_.\[\]\"-]+): (?P<what>{_STEPS})")
_NO_CHANGES = "No changes."


@dataclass(frozen=True)
class Counts:
    """Resources a finished stack added, changed and destroyed."""

    added: int = 0
    changed: int = 0
    destroyed: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.added + self.changed + self.destroyed


@dataclass
class StackProgress:
    """Where one stack is."""

    doing: str = "waiting"
    planned: int | None = None
    finished: int = 0
    counts: Counts | None = None

    def read(self, text: str) -> None:
        """Take in one line of the stack."""
        if plan := _PLAN.search(text):
            self.planned = sum(int(number) for number in plan.groups())
            self.doing = "applying"
        elif done := _DONE.search(text):
            self.counts = Counts(*(int(number or 0) for number in done.groups()))
            self.doing = "done"
        elif text.startswith(_NO_CHANGES):
            self.counts = Counts()
            self.doing = "done"
        elif resource := _RESOURCE.match(text):
            self.finished += "complete" in resource["what"]
            self.doing = f"{resource['what'].lower()} {resource['name']}"
        elif text.startswith(("Initializing", "Installing", "Finding")):
            self.doing = "initializing"
        elif "Reading..." in text or "Refreshing state" in text:
            self.doing = "reading"


@dataclass
class Progress:
    """Every stack, from the lines that the CLI prints: name, two spaces, text; continuation lines are indented."""

    stacks: dict[str, StackProgress] = field(default_factory=dict)
    _current: str | None = None

    @classmethod
    def of(cls, names: Iterable[str]) -> Progress:
        """All of them waiting."""
        return cls({name: StackProgress() for name in names})

    def read(self, raw: str) -> None:
        """Take in one line."""
        line = _COLOR.sub("", raw).rstrip()
        found = _STACK_LINE.match(line)
        if found and found["stack"] in self.stacks:
            self._current = found["stack"]
            text = found["text"]
        elif line.startswith(" "):
            text = line.strip()
        else:
            return
        if self._current is not None:
            self.stacks[self._current].read(text)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Stacks that have not said that they are done."""
        return tuple(name for name, stack in self.stacks.items() if stack.counts is None)
