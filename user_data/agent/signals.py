"""What EC2 and Auto Scaling tell this instance through its metadata service: where it goes, and what threatens it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from user_data.agent.metadata import MetadataError

if TYPE_CHECKING:
    from user_data.agent.log import Log
    from user_data.agent.metadata import SpotNotice

NOTICE_SECONDS = 5.0
"""EC2 user guide, "Spot Instance interruption notices": look every five seconds."""

WARMED = "Warmed:"
TERMINATED = frozenset({"Terminated", "Warmed:Terminated"})

Way = Literal["serve", "warm", "leave"]


@dataclass(frozen=True)
class Signals:
    """The last known signals."""

    target: str | None = None
    spot: SpotNotice | None = None
    rebalance: bool = False

    @property
    def way(self) -> Way:
        """Where Auto Scaling is taking this instance.

        Standby and Detached are ways to serve: discovery keeps such a worker out of routing, and nothing else changes.
        """
        if self.target in TERMINATED:
            return "leave"
        return "warm" if self.target is not None and self.target.startswith(WARMED) else "serve"


class Source(Protocol):
    """Who is asked; `metadata.MetadataClient` is it."""

    def target_lifecycle_state(self) -> str | None:
        """Return where Auto Scaling is taking this instance."""

    def spot_notice(self) -> SpotNotice | None:
        """Return EC2's announcement that it takes this instance back."""

    def rebalance_recommended(self) -> bool:
        """Return whether EC2 sees a raised risk of interruption."""


class Watch:
    """Looks at the signals. While the metadata service is away, the last ones hold: silence is no order to leave."""

    def __init__(self, source: Source, log: Log) -> None:
        """Nothing is asked yet."""
        self._source = source
        self._log = log
        self._noticed_at = float("-inf")
        self._away = False
        self.signals = Signals()

    def look(self, now: float) -> Signals:
        """Ask, and return what is known; `now` in seconds decides whether the slower signals are asked for too."""
        try:
            found = self._ask(now)
        except MetadataError as error:
            if not self._away:  # once per outage
                self._log.warning("metadata_unavailable", message=str(error), keeping=self.signals.target)
            self._away = True
            return self.signals
        if self._away:
            self._log.info("metadata_available")
        self._away = False
        self._tell(found)
        self.signals = found
        return found

    def _ask(self, now: float) -> Signals:
        target = self._source.target_lifecycle_state()
        if now - self._noticed_at < NOTICE_SECONDS:
            return Signals(target, self.signals.spot, self.signals.rebalance)
        found = Signals(target, self._source.spot_notice(), self._source.rebalance_recommended())
        self._noticed_at = now
        return found

    def _tell(self, found: Signals) -> None:
        if found.target != self.signals.target:
            self._log.info("target_lifecycle_state", was=self.signals.target, now=found.target)
        if found.spot and not self.signals.spot:
            self._log.warning("spot_notice", action=found.spot.action, time=found.spot.time.isoformat())
        if found.rebalance and not self.signals.rebalance:
            # A risk, not an order. A group with capacity rebalancing starts another worker first and then takes this
            # one out through its terminating hook; leaving on our own would cost capacity before there is a substitute.
            self._log.warning("rebalance_recommended", action="left to the group's capacity rebalancing")
