"""What a check of the finished image finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Something that must not be so on an image."""

    what: str
    found: str
    remedy: str

    def __str__(self) -> str:
        """The line in the bake's log."""
        return f"FAIL {self.what}: {self.found}; {self.remedy}"
