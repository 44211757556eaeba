"""The pool's metrics from the real router smg and two emulated engines, through the code that a router host runs.

Needs a Python with the Pipfile's [router] group: .cache/venvs/router, or the one that ROUTER_PYTHON names.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.user_data.nodes import ROUTER
from user_data import metrics
from user_data.agent import router
from user_data.agent.aws import FleetView, Worker
from user_data.agent.engine_pages import EnginePages
from user_data.agent.log import Log
from user_data.agent.manifest import Entry, Manifest, write_manifest
from user_data.agent.publisher import Place, Publisher, RouterMetrics
from user_data.agent.telemetry import engine_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
ROUTER_PYTHON = Path(os.environ.get("ROUTER_PYTHON", REPOSITORY / ".cache/venvs/router/bin/python"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ROUTER_PYTHON.exists(), reason="no environment with smg; `make setup` makes it"),
]

ADDRESS = "127.72.210.250"
ENGINES = ("127.72.210.1", "127.72.210.2")
MODEL = "org/Tiny"
SETTINGS = {"time_scale": 0.2, "health_seconds": 0.0, "drain_poll_seconds": 0.2}
START = "import sys; from smg.cli import main; main(sys.argv[1:])"


def eventually(what: str, done: Callable[[], bool], seconds: float = 30.0) -> None:
    started = time.monotonic()
    while not done():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Sink:
    """The last call to CloudWatch, by metric: values, or how often each was observed."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def put(self, data: list[Any]) -> None:
        assert len(data) == len({datum["MetricName"] for datum in data})
        for datum in data:
            assert len(datum.get("Values", [])) <= 150
        self.values = {
            datum["MetricName"]: datum.get(
                "Value", dict(zip(datum.get("Values", ()), datum.get("Counts", ()), strict=True))
            )
            for datum in data
        }


class Line:
    """smg, two engines, and the publisher with a clock that a test moves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "engine.json").write_text(json.dumps(SETTINGS))
        for address in ENGINES:
            self.start_engine(address)
        self.workers = tuple(
            Worker(f"i-{address}", "pool", MODEL, 30000, "InService", healthy=True, address=address)
            for address in ENGINES
        )
        urls = [f"http://{address}:30000" for address in ENGINES]
        entries = tuple(Entry(id=worker.instance_id, url=url) for worker, url in zip(self.workers, urls, strict=True))
        manifest = folder / "workers.json"
        write_manifest(manifest, Manifest(workers=entries))
        self.config = ROUTER.model_copy(
            update={"tls": None, "listen": ADDRESS, "manifest": str(manifest), "policy": "round_robin"}
        )
        self.start_router()
        self.seconds = 0.0
        self.sink, self.log = Sink(), io.StringIO()
        log = Log("test", self.log)
        view = FleetView(("pool",), self.workers, {"pool": MODEL})
        source = RouterMetrics(lambda: ADDRESS, ROUTER.prometheus_port)
        place = Place("fleet", source, EnginePages(log), self.sink, lambda: view)
        self.publisher = Publisher(place, log, lambda: self.seconds)
        self.http = httpx.Client(base_url=f"http://{ADDRESS}:{ROUTER.port}", trust_env=False, timeout=60)

    def start_engine(self, address: str) -> None:
        words = ("--model-path", "/none", "--served-model-name", MODEL, "--host", address, "--port", "30000")
        environment = {**os.environ, "SGLANG_EMULATOR_CONFIG": str(self.folder / "engine.json")}
        self._start(address, [sys.executable, "-m", "rehearsal.engine", *words, "--enable-metrics"], environment)

    def start_router(self) -> None:
        self._start("router", [str(ROUTER_PYTHON), "-c", START, "launch", *router.arguments(self.config, ADDRESS)])

    def _start(self, name: str, argv: list[str], environment: dict[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(argv, stdout=log, stderr=log, cwd=REPOSITORY, env=environment)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def publish(self, seconds: float = 10) -> dict[str, Any]:
        self.seconds += seconds
        self.publisher.step(datetime.now(UTC))
        return self.sink.values

    def ready(self, count: int) -> bool:
        return bool(self.publish(60).get("ReadyWorkers") == count)

    def chat(self, number: int, *, stream: bool, model: str = MODEL) -> int:
        prompt = "the same beginning of every prompt " * 20 + str(number)
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "stream": stream, "max_tokens": 30}
        return self.http.post("/v1/chat/completions", json=body).status_code

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.log.getvalue().splitlines())
        return [line for line in lines if line["event"] == name]

    def close(self) -> None:
        self.http.close()
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    made = Line(tmp_path_factory.mktemp("line"))
    yield made
    made.close()


def test_idle_loaded_hung_broken_and_restarted(line: Line) -> None:
    eventually("both workers ready", lambda: line.ready(2))
    _idle(line)
    _loaded(line)
    _hung(line)
    _restarted(line)


def _idle(line: Line) -> None:
    line.publish()
    zeros = dict.fromkeys(("InFlight", "Queued", "LoadPerWorker", "RequestRate", "ErrorRate"), 0.0)
    assert line.publish() == {"RouterUp": 1.0, "ReadyWorkers": 2.0, **zeros}


def _loaded(line: Line) -> None:
    with ThreadPoolExecutor(20) as clients:
        answers = [clients.submit(line.chat, number, stream=number % 2 == 0) for number in range(20)]
        assert {answer.result() for answer in answers} == {200}
    assert line.chat(0, stream=False, model="of-nobody") == 404
    values = line.publish()
    assert values.keys() == {metric.name for metric in (*metrics.POOL_METRICS, metrics.ROUTER_UP)}
    assert (values["RequestRate"], values["ErrorRate"]) == (2.0, 0.0)
    assert sum(values["TimeToFirstToken"].values()) == 10  # of streams only
    # Of streams only: 29 intervals each, less those between tokens that a busy machine sent at once at first.
    assert 10 * 15 <= sum(values["InterTokenLatency"].values()) <= 10 * 29
    assert 50 < values["CacheHitRate"] < 100
    url = f"http://{ENGINES[0]}:30000"
    page = EnginePages(Log("test", io.StringIO())).readings([url])[url]
    engine = {metrics.KV_USAGE, metrics.RUNNING, metrics.ENGINE_QUEUED, metrics.THROUGHPUT}
    assert engine_values(page).keys() == engine


def _hung(line: Line) -> None:
    """One engine stops answering: the other's numbers go on; then both are gone, and requests fail."""
    hung, other = (line.processes[address] for address in ENGINES)
    hung.send_signal(signal.SIGSTOP)
    values = line.publish()
    assert values["Queued"] == 0.0
    last = line.events("engine_metrics_left_out")[-1]
    assert (last["url"], last["code"]) == (f"http://{ENGINES[0]}:30000", "ReadTimeout")
    for process in (hung, other):
        process.kill()
        process.wait()
    eventually("no worker ready", lambda: line.ready(0))
    line.publish()
    assert {line.chat(number, stream=False) for number in range(4)} <= {500, 503}
    values = line.publish()
    assert (values["RouterUp"], values["ReadyWorkers"]) == (1.0, 0.0)
    assert (values["RequestRate"], values["ErrorRate"]) == (0.4, 100.0)
    assert "Queued" not in values


def _restarted(line: Line) -> None:
    line.kill("router")
    assert line.publish() == {"RouterUp": 0.0}
    for address in ENGINES:
        line.start_engine(address)
    line.start_router()
    eventually("both workers ready again", lambda: line.ready(2))
    line.publish()
    values = line.publish()
    assert (values["RequestRate"], values["ErrorRate"]) == (0.0, 0.0)
    assert {event["url"] for event in line.events("engine_metrics_back")[-2:]} == {
        f"http://{address}:30000" for address in ENGINES
    }
