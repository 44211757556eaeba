"""What a scenario decides about the emulated EC2: which zones have machines, and which Spot Instances it takes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

# EC2 user guide, spot-instance-termination-notices.html.
NOTICE = timedelta(minutes=2)


@dataclass(frozen=True)
class Notices:
    """When EC2 said that an instance is at risk, and when it takes it (None: it only recommends to rebalance)."""

    noticed: datetime
    ends: datetime | None


@dataclass
class Market:
    """Capacity and interruptions of a region."""

    without_capacity: set[str] = field(default_factory=set)
    notices: dict[str, Notices] = field(default_factory=dict)

    def set_capacity(self, zone: str, *, available: bool) -> None:
        """Say whether a zone has machines for Auto Scaling groups to launch (ts-as-capacity.html)."""
        if available:
            self.without_capacity.discard(zone)
        else:
            self.without_capacity.add(zone)

    def recommend_rebalance(self, instance_id: str, now: datetime) -> None:
        """Tell an instance that it is at elevated risk (EC2 user guide, rebalance-recommendations.html)."""
        self.notices.setdefault(instance_id, Notices(now, None))

    def interrupt(self, instance_id: str, now: datetime) -> None:
        """Tell an instance that it has two minutes left. The recommendation comes at the same time at the latest."""
        known = self.notices.get(instance_id)
        if known is None or known.ends is None:
            self.notices[instance_id] = Notices(known.noticed if known else now, now + NOTICE)

    def due(self, now: datetime) -> tuple[str, ...]:
        """Instances whose time is over; each is named once."""
        over = tuple(name for name, told in self.notices.items() if told.ends is not None and now >= told.ends)
        for name in over:
            del self.notices[name]
        return over
