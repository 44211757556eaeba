"""What the fleet looked like at every moment of a scenario: sampled from outside, asked afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

SAMPLE_SECONDS = 0.25
IN_SERVICE = "InService"


@dataclass(frozen=True)
class Seen:
    """One worker as its group tells; `url` is where its engine listens."""

    id: str
    url: str
    state: str
    zone: str
    healthy: bool = True


@dataclass(frozen=True)
class Sample:
    """One look. Times are seconds since 1970; `routed` is None when the router did not answer."""

    at: float
    workers: Mapping[str, Seen]
    routed: frozenset[str] | None

    @property
    def in_service(self) -> frozenset[str]:
        """Ids of the workers in service."""
        return frozenset(worker.id for worker in self.workers.values() if worker.state == IN_SERVICE)


@dataclass
class Timeline:
    """Looks at the fleet several times a second, from a thread of its own, until stopped."""

    look: Callable[[], Sample]
    samples: list[Sample] = field(default_factory=list)
    error: Exception | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._run, name="timeline", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more.

        Raises:
            Exception: what ended the looking early; a timeline with a hole would prove nothing.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                begun = time.monotonic()
                self.samples.append(self.look())
                self._stop.wait(max(0.0, begun + SAMPLE_SECONDS - time.monotonic()))
        except Exception as error:  # noqa: BLE001 - raised again by `stop`, in the scenario's thread
            self.error = error


def first_state(samples: Iterable[Sample], worker: str, state: str) -> float | None:
    """When a worker was first seen in a state that begins so."""
    return first(samples, lambda sample: worker in sample.workers and sample.workers[worker].state.startswith(state))


def first_unrouted(samples: Iterable[Sample], url: str, since: float) -> float | None:
    """When the router was first seen without a worker, from `since` on."""
    return first(samples, lambda sample: sample.at >= since and sample.routed is not None and url not in sample.routed)


def first(samples: Iterable[Sample], condition: Callable[[Sample], bool]) -> float | None:
    """When a condition was first seen to hold."""
    return next((sample.at for sample in samples if condition(sample)), None)


def least_in_service(samples: Iterable[Sample], since: float = 0.0) -> int:
    """Fewest workers in service at any moment from `since` on."""
    return min(len(sample.in_service) for sample in samples if sample.at >= since)


def least_routed(samples: Iterable[Sample], since: float = 0.0) -> int:
    """Fewest workers that the router sent to, among the moments at which it answered."""
    return min((len(s.routed) for s in samples if s.routed is not None and s.at >= since), default=0)
