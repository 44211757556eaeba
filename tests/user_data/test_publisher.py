from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.user_data.test_load import PAGE
from user_data.agent.aws import AwsError, FleetView, Metrics, Worker
from user_data.agent.discovery import Discovery
from user_data.agent.load import Samples, parse_samples
from user_data.agent.publisher import Publisher, RouterMetrics, RouterMetricsError, print_loads, start

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

    from tests.user_data.conftest import LogLines, StubFactory

NOW = datetime(2026, 12, 1, 8, 0, 5, tzinfo=UTC)
WORKERS = tuple(
    Worker(f"i-{number}", "default", "m", 30000, "InService", healthy=True, address=f"10.0.0.{number}")
    for number in (1, 2)
)
VIEW = FleetView(("default", "empty"), WORKERS)


class Router:
    """A router whose answers come from a list; the last one is given again and again."""

    def __init__(self, *answers: Samples | Exception) -> None:
        self.answers = list(answers)

    def samples(self) -> Samples:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Sink:
    """Keeps what it is given, by pool; fails with the next fault that a test put in, None being none."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.values: list[dict[str, float]] = []

    def put(self, data: list[MetricDatumTypeDef]) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        self.values.append({datum["Dimensions"][1]["Value"]: datum["Value"] for datum in data})


IDLE = Samples({}, frozenset())
BUSY = parse_samples(PAGE)


def _publisher(source: Any, sink: Any, lines: LogLines, view: FleetView | None = VIEW) -> Publisher:
    return Publisher("fleet", source, sink, lambda: view, lines.log)


def test_one_call_carries_every_pool_with_zeros(stub: StubFactory, lines: LogLines) -> None:
    client, stubber = stub("cloudwatch")
    data = [
        {
            "MetricName": "LoadPerWorker",
            "Dimensions": [{"Name": "Deployment", "Value": "fleet"}, {"Name": "Pool", "Value": pool}],
            "Timestamp": NOW,
            "Value": value,
            "Unit": "Count",
            "StorageResolution": 1,
        }
        for pool, value in (("default", 0.5), ("empty", 0.0))
    ]
    stubber.add_response("put_metric_data", {}, {"Namespace": "sglang-fleet", "MetricData": data})
    _publisher(Router(BUSY), Metrics("sglang-fleet", client), lines).step(NOW)
    assert [line["loads"] for line in lines.named("load_published")] == [{"default": 0.5, "empty": 0.0}]


@pytest.mark.parametrize("view", [None, FleetView()])
def test_nothing_is_asked_or_published_before_a_pool_is_known(lines: LogLines, view: FleetView | None) -> None:
    sink = Sink()
    _publisher(Router(AssertionError("asked")), sink, lines, view).step(NOW)
    assert (sink.values, lines.events) == ([], [])


def _refused() -> RouterMetricsError:
    return RouterMetricsError("http://127.64.0.100:29000/metrics", "ConnectError", "refused")


def test_a_silent_router_publishes_nothing_and_is_told_once_per_change(lines: LogLines) -> None:
    sink = Sink()
    publisher = _publisher(Router(_refused(), _refused(), RouterMetricsError("u", "500", ""), IDLE), sink, lines)
    for _ in range(5):
        publisher.step(NOW)
    assert [line["code"] for line in lines.named("load_not_published")] == ["ConnectError", "500"]
    assert [line["after"] for line in lines.named("load_published")] == ["500"]
    assert sink.values == [{"default": 0.0, "empty": 0.0}] * 2


def test_cloudwatch_faults_are_told_once_per_change(lines: LogLines) -> None:
    denied = AwsError("cloudwatch:PutMetricData", "AccessDenied", "no")
    sink = Sink(denied, denied, None, denied)
    publisher = _publisher(Router(IDLE), sink, lines)
    for _ in range(5):
        publisher.step(NOW)
    assert [line["event"] for line in lines.events] == ["load_not_published", "load_published"] * 2
    assert len(sink.values) == 2


def test_even_a_fault_of_ours_does_not_end_it(lines: LogLines) -> None:
    sink = Sink(KeyError("a bug"))
    publisher = _publisher(Router(IDLE), sink, lines)
    publisher.step(NOW)
    publisher.step(NOW)
    assert [line["kind"] for line in lines.named("load_not_published")] == ["KeyError"]
    assert len(sink.values) == 1


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
    assert len(sink.values) == 3


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
    thread = start(Publisher("fleet", Router(IDLE), Hanging(), lambda: discovery.view, lines.log), stop)
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
    assert [source.samples(), source.samples()] == [BUSY, BUSY]
    assert (page.paths, asked) == (["/metrics", "/metrics"], ["address"])


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [(503, "busy", "503"), (200, 'smg_worker_health{worker="x"} up\n', "ValueError")],
)
def test_an_answer_that_is_no_metrics_page_is_a_fault(page: Page, status: int, text: str, code: str) -> None:
    page.status, page.text = status, text
    with pytest.raises(RouterMetricsError) as caught:
        RouterMetrics(lambda: "127.64.9.2", page.http.server_port).samples()
    assert caught.value.code == code


def test_a_router_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(RouterMetricsError, match=r"^http://127\.64\.9\.3:9/metrics: ConnectError: "):
        RouterMetrics(lambda: "127.64.9.3", 9).samples()


def test_a_dry_run_prints_what_would_be_published(lines: LogLines, capsys: pytest.CaptureFixture[str]) -> None:
    sink = Sink()
    print_loads(_publisher(Router(BUSY), sink, lines))
    print_loads(_publisher(Router(_refused()), sink, lines))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == {
        "action": "publish",
        "metric": "LoadPerWorker",
        "value": 0.5,
        "pool": "default",
        "active": 1.0,
        "ready": 2,
        "in_service": 2,
    }
    assert [line.get("pool") for line in printed] == ["default", "empty", None]
    assert printed[2]["action"] == "publish_nothing"
    assert sink.values == []
