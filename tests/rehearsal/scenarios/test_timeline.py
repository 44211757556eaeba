from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import pytest

from rehearsal.scenarios.timeline import (
    Sample,
    Seen,
    Timeline,
    first,
    first_state,
    first_unrouted,
    least_in_service,
    least_routed,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def sample(at: float, states: dict[str, str], routed: str | None) -> Sample:
    """Workers a, b… in states; `routed` names those that the router sends to, None when it does not answer."""
    workers = {name: Seen(name, f"http://{name}", state, "zone") for name, state in states.items()}
    return Sample(at, workers, None if routed is None else frozenset(f"http://{name}" for name in routed))


SAMPLES = (
    sample(1.0, {"a": "InService", "b": "Pending:Wait"}, "a"),
    sample(2.0, {"a": "InService", "b": "InService"}, "ab"),
    sample(3.0, {"a": "Terminating:Wait", "b": "InService"}, None),
    sample(4.0, {"a": "Terminating:Wait", "b": "InService"}, "ab"),
    sample(5.0, {"a": "Terminating:Proceed", "b": "InService"}, "b"),
    sample(6.0, {"b": "Standby"}, ""),
    sample(7.0, {"a": "InService", "b": "InService"}, "ab"),
)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda: first_state(SAMPLES, "a", "Terminating"), 3.0),
        (lambda: first_state(SAMPLES, "a", "Terminating:Proceed"), 5.0),
        (lambda: first_state(SAMPLES, "b", "InService"), 2.0),
        (lambda: first_state(SAMPLES, "b", "Terminating"), None),
        (lambda: first_state(SAMPLES, "c", "InService"), None),
        # A router that does not answer has not unrouted anybody.
        (lambda: first_unrouted(SAMPLES, "http://a", 2.0), 5.0),
        (lambda: first_unrouted(SAMPLES, "http://b", 0.0), 1.0),
        (lambda: first_unrouted(SAMPLES, "http://b", 2.0), 6.0),
        (lambda: first_unrouted(SAMPLES, "http://b", 7.0), None),
        (lambda: first(SAMPLES, lambda seen: seen.routed is None), 3.0),
        (lambda: least_in_service(SAMPLES), 0),
        (lambda: least_in_service(SAMPLES, 7.0), 2),
        (lambda: least_in_service(SAMPLES[:5], 2.0), 1),
        (lambda: least_routed(SAMPLES), 0),
        (lambda: least_routed(SAMPLES[:5]), 1),
        (lambda: least_routed(SAMPLES, 7.0), 2),
        # A router that never answers routes to nobody: the worst, not the best.
        (lambda: least_routed(SAMPLES[2:3]), 0),
    ],
)
def test_a_timeline_answers(ask: Callable[[], float | None], answer: float | None) -> None:
    assert ask() == answer


def test_the_least_of_no_sample_at_all_is_no_answer() -> None:
    with pytest.raises(ValueError, match="empty"):
        least_in_service(SAMPLES, 8.0)


def test_a_timeline_looks_until_it_is_stopped() -> None:
    looked = Event()

    def look() -> Sample:
        looked.set()
        return SAMPLES[0]

    timeline = Timeline(look)
    timeline.start()
    assert looked.wait(5)
    timeline.stop()
    assert timeline.samples == [SAMPLES[0]] * len(timeline.samples) != []


def test_what_ended_the_looking_is_raised_where_it_is_stopped() -> None:
    def look() -> Sample:
        raise ConnectionError("the cloud is gone")

    timeline = Timeline(look)
    timeline.start()
    with pytest.raises(ConnectionError, match="the cloud is gone"):
        timeline.stop()
