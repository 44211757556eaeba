"""What `fleet status` makes of what AWS and the router say. The command itself runs in test_status_and_why.py."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from fleet.router_view import RoutedWorker, RouterView
from fleet.status_report import age, as_json, render, troubles
from tests.fleet.made_up import (
    HOUR_AGO,
    LEFT,
    NO_ROOM,
    NOW,
    SERVING,
    STARTING,
    activity,
    fleet,
    pool,
    router,
    worker,
)

NO_CAPACITY = activity("Launching a new EC2 instance", "Failed", NO_ROOM)
READY = RoutedWorker(url="http://10.0.1.10:30000", status="ready", load=7)


def shown(view: RouterView, **changes: object) -> str:
    text = io.StringIO()
    console = Console(file=text, width=160, highlight=False, markup=False)
    made = pool(worker(), worker(STARTING, "Pending:Wait"), worker(LEFT, "Warmed:Stopped"), desired=2)
    console.print(render(fleet(replace(made, **changes)), view, HOUR_AGO, NOW, UTC))  # type: ignore[arg-type]
    return text.getvalue()


def line_with(text: str, word: str) -> str:
    (found,) = [line for line in text.splitlines() if word in line]
    return " ".join(found.split())


def test_every_worker_is_a_line_with_its_routing_and_load() -> None:
    text = shown(router(READY))
    assert line_with(text, SERVING) == f"{SERVING} us-east-1a g6e.xlarge 10.0.1.10 InService healthy 3m20s ready 7"
    assert line_with(text, STARTING).endswith("Pending:Wait healthy 3m20s no")
    assert "1 of 2 wanted in service (min 1, max 4), 1 pending, 0 terminating, 1 warm" in text


def test_a_router_that_is_out_of_reach_is_said_and_the_rest_is_shown() -> None:
    text = shown(RouterView("http://10.0.0.100:8000", ready=False, readiness="unreachable from here: timed out"))
    assert "router http://10.0.0.100:8000: unreachable from here: timed out" in text
    assert line_with(text, SERVING).endswith("healthy 3m20s ? ?")


def test_no_capacity_shows_with_zone_time_and_count() -> None:
    again = replace(NO_CAPACITY, start=HOUR_AGO)
    text = shown(router(READY), activities=(NO_CAPACITY, again))
    assert f"11:50:00 Failed (2 times): Launching a new EC2 instance in us-east-1a: {NO_ROOM}" in text.replace("\n", "")


def test_only_what_failed_lately_or_goes_on_is_trouble() -> None:
    old = replace(NO_CAPACITY, end=HOUR_AGO.replace(hour=1))
    going_on = activity(f"Launching a new EC2 instance: {STARTING}", "MidLifecycleAction", at=300)
    scaled_in = activity(f"Launching a new EC2 instance: {LEFT}", "Cancelled")
    done = activity(f"Launching a new EC2 instance: {SERVING}")
    found = troubles(pool(activities=(done, scaled_in, old, going_on, NO_CAPACITY)), HOUR_AGO)
    assert [trouble.activity for trouble in found] == [going_on, NO_CAPACITY]


@pytest.mark.parametrize(
    ("workers", "complete"),
    [((worker(),), True), ((), False), ((worker(healthy=False),), False), ((worker(state="Pending:Wait"),), False)],
)
def test_complete_means_that_all_wanted_workers_serve(workers: tuple[object, ...], complete: bool) -> None:
    view = fleet(pool(*workers), replace(pool(worker()), name="other"))  # type: ignore[arg-type]
    assert view.complete is complete


def test_json_says_the_same() -> None:
    view = fleet(pool(worker(), worker(STARTING, "Pending:Wait"), desired=2, activities=(NO_CAPACITY, NO_CAPACITY)))
    told = json.loads(json.dumps(as_json(view, router(READY), HOUR_AGO), default=datetime.isoformat))
    assert told["complete"] is False
    assert [(one["routed"], one["requests_in_flight"]) for one in told["pools"][0]["workers"]] == [
        (True, 7),
        (False, None),
    ]
    assert [(one["message"], one["count"]) for one in told["pools"][0]["activities"]] == [(NO_ROOM, 2)]


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0s"), (59.9, "59s"), (200, "3m20s"), (7500, "2h05m"), (4 * 86400 + 3 * 3600, "4d03h")]
)
def test_an_age_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert age(seconds) == text
