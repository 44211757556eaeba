"""What a group decided by itself, read from the causes of its scaling activities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Amazon EC2 Auto Scaling: as-verify-scaling-activity.html. Several activities have one decision as their cause.
CAUSE: Final = re.compile(
    r"At (\S+) a monitor alarm (\S+) in state ALARM triggered policy (\S+) "
    r"changing the desired capacity from (\d+) to (\d+)"
)


@dataclass(frozen=True, order=True)
class Decision:
    """A policy that changed the desired capacity; `at` in seconds since 1970, when its first activity began."""

    at: float
    policy: str
    before: int
    after: int

    @property
    def grows(self) -> bool:
        """Whether it was out."""
        return self.after > self.before


def decisions(activities: Iterable[Mapping[str, Any]], since: float) -> list[Decision]:
    """The decisions of policies from a moment on, the oldest first."""
    found: dict[tuple[str, ...], Decision] = {}
    for activity in activities:
        cause = CAUSE.search(str(activity.get("Cause", "")))
        if cause is None:
            continue
        at = activity["StartTime"].timestamp()
        known = found.get(cause.groups())
        if at >= since and (known is None or at < known.at):
            found[cause.groups()] = Decision(at, cause[3], int(cause[4]), int(cause[5]))
    return sorted(found.values())
