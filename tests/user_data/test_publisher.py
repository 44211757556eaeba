from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.user_data.test_load import PAGE
from user_data.agent.aws import AwsError, FleetView, Metrics, Worker
from user_data.agent.discovery import Discovery
from user_data.agent.engine_page import EngineReading
from user_data.agent.load import Samples
from user_data.agent.publisher import Place, Publisher, RouterMetrics, RouterMetricsError, print_loads, start
from user_data.agent.router_page import RouterReading, read_router
from user_data.metrics import (
    ERROR_RATE,
    IN_FLIGHT,
    LOAD,
    QUEUED,
    READY_WORKERS,
    REQUEST_RATE,
    ROUTER_UP,
    Metric,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

    from tests.user_data.conftest import LogLines, StubFactory

NOW = datetime(2026, 12, 1, 8, 0, 5, tzinfo=UTC)
WORKERS = tuple(
    Worker(f"i-{number}", "default", "m", 30000, "InService", healthy=True, address=f"10.0.0.{number}")
    for number in (1, 2)
)
VIEW = FleetView(("default", "empty"), WORKERS, {"default": "m", "empty": "other-model"})


class Router:
    """A router whose answers come from a list; the last one is given again and again."""

    def __init__(self, *answers: RouterReading | Exception) -> None:
        self.answers = list(answers)

    def reading(self) -> RouterReading:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Engines:
    """Engines that are idle; keeps who was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def readings(self, urls: Iterable[str]) -> dict[str, EngineReading]:
        self.asked.append(sorted(urls))
        return {url: EngineReading(running=0, queued=1) for url in self.asked[-1]}


class Sink:
    """Keeps what it is given; fails with the next fault that a test put in, None being none."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.data: list[list[Any]] = []

    def put(self, data: list[MetricDatumTypeDef]) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        self.data.append(data)

    def values(self, metric: Metric) -> list[dict[str, float]]:
        """Of each call the metric's values, by pool."""
        return [
            {datum["Dimensions"][-1]["Value"]: datum["Value"] for datum in data if datum["MetricName"] == metric.name}
            for data in self.data
        ]


IDLE = RouterReading(Samples({}, frozenset()))
BUSY = read_router(PAGE)


def _publisher(source: Any, sink: Any, lines: LogLines, view: FleetView | None = VIEW) -> Publisher:
    seconds = count(step=10)
    place = Place("fleet", source, Engines(), sink, lambda: view)
    return Publisher(place, lines.log, lambda: float(next(seconds)))


def _datum(metric: Metric, value: float, pool: str | None = None) -> dict[str, Any]:
    dimensions = [{"Name": "Deployment", "Value": "fleet"}]
    return {
        "MetricName": metric.name,
        "Dimensions": [*dimensions, {"Name": "Pool", "Value": pool}] if pool else dimensions,
        "Timestamp": NOW,
        "Value": value,
        "Unit": "Count",
        "StorageResolution": 1,
    }


def test_one_call_carries_every_pool_with_zeros(stub: StubFactory, lines: LogLines) -> None:
    client, stubber = stub("cloudwatch")
    expected = {"default": (1.0, 2.0, 2.0, 0.5), "empty": (0.0, 0.0, 0.0, 0.0)}
    data = [
        _datum(metric, value, pool)
        for pool, values in expected.items()
        for metric, value in zip((IN_FLIGHT, QUEUED, READY_WORKERS, LOAD), values, strict=True)
    ]
    expected_call = {"Namespace": "sglang-fleet", "MetricData": [_datum(ROUTER_UP, 1.0), *data]}
    stubber.add_response("put_metric_data", {}, expected_call)
    _publisher(Router(BUSY), Metrics("sglang-fleet", client), lines).step(NOW)
    assert [line["loads"] for line in lines.named("load_published")] == [{"default": 0.5, "empty": 0.0}]


def test_from_the_second_reading_on_rates_are_published_too(lines: LogLines) -> None:
    sink = Sink()
    publisher = _publisher(Router(IDLE, replace(IDLE, requests={"m": 30.0})), sink, lines)
    for _ in range(3):
        publisher.step(NOW)
    assert sink.values(REQUEST_RATE) == [{}, {"default": 3.0, "empty": 0.0}, {"default": 0.0, "empty": 0.0}]
    assert sink.values(ERROR_RATE) == [{}, {"default": 0.0, "empty": 0.0}, {"default": 0.0, "empty": 0.0}]


@pytest.mark.parametrize("view", [None, FleetView()])
def test_before_a_pool_is_known_the_router_is_all_there_is_to_tell_of(lines: LogLines, view: FleetView | None) -> None:
    sink = Sink()
    _publisher(Router(BUSY), sink, lines, view).step(NOW)
    assert (sink.data, lines.events) == ([[_datum(ROUTER_UP, 1.0)]], [])


def _refused() -> RouterMetricsError:
    return RouterMetricsError("http://127.64.0.100:29000/metrics", "ConnectError", "refused")


def test_of_a_silent_router_only_that_is_published_and_told_once_per_change(lines: LogLines) -> None:
    sink = Sink()
    publisher = _publisher(Router(_refused(), _refused(), RouterMetricsError("u", "500", ""), IDLE), sink, lines)
    for _ in range(5):
        publisher.step(NOW)
    assert [line["code"] for line in lines.named("load_not_published")] == ["ConnectError", "500"]
    assert [line["after"] for line in lines.named("load_published")] == ["500"]
    assert sink.data[:3] == [[_datum(ROUTER_UP, 0.0)]] * 3
    assert sink.values(LOAD) == [{}] * 3 + [{"default": 0.0, "empty": 0.0}] * 2


def test_five_minutes_without_cloudwatch_are_one_line_and_nothing_piles_up(lines: LogLines) -> None:
    throttled = AwsError("cloudwatch:PutMetricData", "Throttling", "slow down")
    sink = Sink(None, *[throttled] * 30)
    requests = [replace(IDLE, requests={"m": 10.0 * step}) for step in range(34)]
    publisher = _publisher(Router(*requests), sink, lines)
    for _ in range(34):
        publisher.step(NOW)
    assert [line["event"] for line in lines.events] == ["load_published", "load_not_published", "load_published"]
    assert [len(data) for data in sink.data] == [9, 13, 13, 13]
    assert sink.values(REQUEST_RATE)[1:] == [{"default": 1.0, "empty": 0.0}] * 3


def test_a_silent_router_without_cloudwatch_is_one_line(lines: LogLines) -> None:
    sink = Sink(*[AwsError("cloudwatch:PutMetricData", "AccessDenied", "no")] * 9)
    publisher = _publisher(Router(_refused()), sink, lines)
    for _ in range(9):
        publisher.step(NOW)
    assert [line["code"] for line in lines.named("load_not_published")] == ["AccessDenied"]


def test_even_a_fault_of_ours_does_not_end_it(lines: LogLines) -> None:
    sink = Sink(KeyError("a bug"))
    publisher = _publisher(Router(IDLE), sink, lines)
    publisher.step(NOW)
    publisher.step(NOW)
    assert [line["kind"] for line in lines.named("load_not_published")] == ["KeyError"]
    assert len(sink.data) == 1


def test_every_period_has_one_value_and_stop_ends_it(lines: LogLines) -> None:
    now, waits = 1_000.0, list[float]()

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal now
            waits.append(round(timeout or 0.0, 3))
            now += timeout or 0.0
            return len(waits) == 4

    def clock() -> float:
        nonlocal now
        now += 0.1  # every look at the clock, and so every step, takes a moment
        return now

    sink = Sink()
    _publisher(Router(IDLE), sink, lines).run(Stop(), clock)
    assert waits == [4.9, 9.8, 9.8, 9.8]
    assert len(sink.data) == 3


@pytest.mark.parametrize("skew", [-5, -1, 0, 1, 5])
def test_a_skewed_clock_changes_nothing_and_its_correction_costs_a_period_at_most(skew: int, lines: LogLines) -> None:
    """The clock is `skew` seconds off for three periods, then it is set right."""
    waited, stamps = [1_000.0], list[float]()

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return len(waited) == 8

    class Stamps(Sink):
        def put(self, data: list[MetricDatumTypeDef]) -> None:
            super().put(data)
            stamp = data[0]["Timestamp"]
            assert isinstance(stamp, datetime)
            stamps.append(stamp.timestamp())

    sink = Stamps()
    requests = [replace(IDLE, requests={"m": 10.0 * step}) for step in range(9)]
    _publisher(Router(*requests), sink, lines).run(Stop(), lambda: sum(waited) + (skew if len(waited) < 4 else 0))
    steps = [int(later // 10 - earlier // 10) for earlier, later in pairwise(stamps)]
    assert [*steps[:1], *steps[3:]] == [1, 1, 1]  # before the correction and after it
    assert all(0 <= step <= 2 for step in steps)
    assert sink.values(REQUEST_RATE)[1:] == [{"default": 1.0, "empty": 0.0}] * 5


def test_discovery_goes_on_while_a_call_hangs_and_stop_ends_both(
    tmp_path: Path, lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("user_data.agent.publisher.until_next", lambda _now: 0.0)
    hanging, release, stop = threading.Event(), threading.Event(), threading.Event()

    class Hanging(Sink):
        def put(self, data: list[MetricDatumTypeDef]) -> None:
            hanging.set()
            release.wait(10)
            super().put(data)

    class Fleet:
        def view(self) -> FleetView:
            return VIEW

    discovery = Discovery(Fleet(), tmp_path / "workers.json", 2.0, lines.log)
    place = Place("fleet", Router(IDLE), Engines(), Hanging(), lambda: discovery.view)
    thread = start(Publisher(place, lines.log), stop)
    assert discovery.view is None
    assert discovery.step() == 2.0
    assert hanging.wait(5)
    assert [discovery.step() for _ in range(3)] == [2.0] * 3
    assert thread.daemon
    stop.set()
    release.set()
    thread.join(5)
    assert not thread.is_alive()


class Page:
    """An HTTP server with one page."""

    def __init__(self) -> None:
        self.status, self.text = 200, PAGE
        self.paths: list[str] = []
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.paths.append(self.path)
                self.send_response(page.status)
                self.end_headers()
                self.wfile.write(page.text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                del format, args

        self.http = ThreadingHTTPServer(("127.64.9.2", 0), Handler)


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_the_router_is_asked_once_a_step_and_the_host_for_its_address_once(page: Page) -> None:
    asked: list[str] = []

    def address() -> str:
        asked.append("address")
        return "127.64.9.2"

    source = RouterMetrics(address, page.http.server_port)
    assert [source.reading(), source.reading()] == [BUSY, BUSY]
    assert (page.paths, asked) == (["/metrics", "/metrics"], ["address"])


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [(503, "busy", "503"), (200, 'smg_worker_health{worker="x"} up\n', "ValueError")],
)
def test_an_answer_that_is_no_metrics_page_is_a_fault(page: Page, status: int, text: str, code: str) -> None:
    page.status, page.text = status, text
    with pytest.raises(RouterMetricsError) as caught:
        RouterMetrics(lambda: "127.64.9.2", page.http.server_port).reading()
    assert caught.value.code == code


def test_a_router_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(RouterMetricsError, match=r"^http://127\.64\.9\.3:9/metrics: ConnectError: "):
        RouterMetrics(lambda: "127.64.9.3", 9).reading()


def test_a_dry_run_prints_what_would_be_published(lines: LogLines, capsys: pytest.CaptureFixture[str]) -> None:
    sink = Sink()
    print_loads(_publisher(Router(BUSY), sink, lines))
    print_loads(_publisher(Router(_refused()), sink, lines))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    load = {"pool": "default", "active": 1.0, "ready": 2, "in_service": 2}
    assert printed[0] == {"action": "publish", "metric": "LoadPerWorker", "value": 0.5, **load}
    assert printed[2] == {"action": "publish", "metric": "Queued", "value": 2.0, "pool": "default"}
    assert [line["pool"] for line in printed[:-1]] == ["default"] * 4 + ["empty"] * 4
    assert printed[-1]["action"] == "publish_nothing"
    assert sink.data == []
