"""How a bake fails: with the phase it was in, what was said last, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class BakeError(Exception):
    """A bake, or a look at images, that cannot go on; the message says why and what to do."""


class PackerMissingError(BakeError):
    """There is no Packer that could be used."""


class BakeInterruptedError(BakeError):
    """Somebody ended the bake: ctrl-C, SIGTERM, or a terminal that went away."""


@dataclass(frozen=True)
class Failure:
    """Where a build stopped, its last words, and what is known to help."""

    target: str
    phase: str
    last_lines: tuple[str, ...]
    remedy: str | None
    log: Path

    def __str__(self) -> str:
        """Several lines: the phase, the last words indented, the remedy, the log."""
        said = "".join(f"\n  {line}" for line in self.last_lines)
        remedy = f"\nremedy: {self.remedy}" if self.remedy else ""
        return f"bake of {self.target}: failed in phase {self.phase}{said}{remedy}\nlog: {self.log}"


class BuildFailedError(BakeError):
    """Packer ended with a failure."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(str(failure))
