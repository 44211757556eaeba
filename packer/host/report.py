"""How a provision step says why it failed: one line that names the phase, the fault and the remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A sentence about what is wrong, and what helps."""

    sentence: str
    remedy: str

    def __str__(self) -> str:
        """Both, as they are shown."""
        return f"{self.sentence}; {self.remedy}"


class StepError(Exception):
    """A provision step cannot do its work."""

    def __init__(self, fault: Fault) -> None:
        """Carry the fault to `run_step`."""
        self.fault = fault
        super().__init__(str(fault))


def run_step(phase: str, step: Callable[[], None]) -> int:
    """Run a step; 1 and the fault as the last line on standard error when it cannot do its work."""
    try:
        step()
    except StepError as error:
        sys.stdout.flush()
        print(f"ERROR {phase}: {error.fault}", file=sys.stderr)
        return 1
    return 0


def say(text: str) -> None:
    """Show progress at once, although the output goes through SSH."""
    print(text, flush=True)


def gib(size: int) -> str:
    """A size in bytes, for people."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
