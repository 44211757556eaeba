from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.user_data.engine_pages import GOOD
from user_data import metrics
from user_data.agent.aws import AwsError, Metrics
from user_data.agent.engine_page import EngineReading, read_engine
from user_data.agent.gpu import Gpu, GpuError, Nvml, Patient
from user_data.agent.prompt_load import Speeds
from user_data.agent.telemetry import Sources, Telemetry, print_metrics, start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

    from tests.user_data.conftest import LogLines, StubFactory

NOW = datetime(2026, 12, 1, 8, 0, 5, tzinfo=UTC)
URL = "http://10.0.0.1:30000"
READING = read_engine(GOOD)
PAIR = (Gpu(memory=90, utilization=100, temperature=60), Gpu(memory=90, utilization=0, temperature=40))


@dataclass
class Engine:
    """An engine's page, or none."""

    reading: EngineReading | None = READING

    def readings(self, urls: Iterable[str]) -> dict[str, EngineReading]:
        return dict.fromkeys(urls, self.reading) if self.reading else {}


@dataclass
class Cards:
    """GPUs whose answers a test sets."""

    answer: tuple[Gpu, ...] | GpuError = PAIR

    def read(self) -> tuple[Gpu, ...]:
        if isinstance(self.answer, GpuError):
            raise self.answer
        return self.answer


@dataclass
class Sink:
    """Keeps what it is given; fails with the next fault that a test put in."""

    faults: list[Exception] = field(default_factory=list)
    names: list[list[str]] = field(default_factory=list)

    def put(self, data: list[MetricDatumTypeDef]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.names.append([datum["MetricName"] for datum in data])


def _telemetry(lines: LogLines, engine: Engine, cards: Any, sink: Any) -> Telemetry:
    return Telemetry(Sources("fleet", "default", URL, engine, cards, sink), lines.log)


def test_one_call_carries_engine_and_gpus_as_metrics_of_the_pool(stub: StubFactory, lines: LogLines) -> None:
    client, stubber = stub("cloudwatch")
    values: list[tuple[metrics.Metric, dict[str, Any]]] = [
        (metrics.KV_USAGE, {"Value": 25.0}),
        (metrics.RUNNING, {"Value": 3.0}),
        (metrics.ENGINE_QUEUED, {"Value": 2.0}),
        (metrics.THROUGHPUT, {"Value": 120.5}),
        (metrics.GPU_MEMORY, {"Values": [90], "Counts": [2.0]}),
        (metrics.GPU_UTILIZATION, {"Values": [0, 100], "Counts": [1.0, 1.0]}),
        (metrics.GPU_TEMPERATURE, {"Values": [40, 60], "Counts": [1.0, 1.0]}),
    ]
    always = [metric for metric in metrics.WORKER_METRICS if metric is not metrics.PROMPT_LOAD]
    assert [metric for metric, _ in values] == always
    data = [
        {
            "MetricName": metric.name,
            "Dimensions": [{"Name": "Deployment", "Value": "fleet"}, {"Name": "Pool", "Value": "default"}],
            "Timestamp": NOW,
            "Unit": metric.unit,
            "StorageResolution": 1,
            **value,
        }
        for metric, value in values
    ]
    stubber.add_response("put_metric_data", {}, {"Namespace": "sglang-fleet", "MetricData": data})
    _telemetry(lines, Engine(), Cards(), Metrics("sglang-fleet", client)).step(NOW)
    assert lines.events == []


def test_the_prompt_load_is_published_from_the_second_reading_on(lines: LogLines) -> None:
    sink, engine, times = Sink(), Engine(), iter([100.0, 110.0])
    speeds = Speeds(prompt_tokens_per_second=2200, token_seconds=0.03, limit_seconds=0.06)
    sources = Sources("fleet", "default", URL, engine, Cards(()), sink, speeds)
    telemetry = Telemetry(sources, lines.log, lambda: next(times))
    telemetry.step(NOW)
    assert "PromptLoad" not in sink.names[0]
    engine.reading = replace(READING, computed_tokens=4430, answers=9, answer_tokens=864)
    load = telemetry.measure()[metrics.PROMPT_LOAD]
    assert isinstance(load, float)
    assert load > 0


def test_a_host_without_gpus_says_so_once_and_publishes_its_engine(lines: LogLines) -> None:
    sink, cards = Sink(), Cards(GpuError("pynvml: ModuleNotFoundError: none"))
    telemetry = _telemetry(lines, Engine(), cards, sink)
    for _ in range(3):
        telemetry.step(NOW)
    assert [line["event"] for line in lines.events] == ["gpus_unknown"]
    assert {len(names) for names in sink.names} == {4}
    cards.answer = PAIR
    telemetry.step(NOW)
    assert (lines.events[-1]["event"], len(sink.names[-1])) == ("gpus_known", 7)


def test_without_an_engine_the_gpus_are_published_and_without_both_nothing_is(lines: LogLines) -> None:
    sink = Sink()
    _telemetry(lines, Engine(None), Cards(), sink).step(NOW)
    _telemetry(lines, Engine(None), Cards(()), sink).step(NOW)
    assert sink.names == [["GpuMemory", "GpuUtilization", "GpuTemperature"]]


def test_what_an_engine_does_not_tell_is_not_published(lines: LogLines) -> None:
    sink = Sink()
    _telemetry(lines, Engine(EngineReading(1, 0)), Cards(()), sink).step(NOW)
    assert sink.names == [["EngineRunning", "EngineQueued"]]


def test_cloudwatch_refusing_is_told_once_and_publication_goes_on(lines: LogLines) -> None:
    sink = Sink([AwsError("cloudwatch:PutMetricData", "Throttling", "slow down")] * 30)
    telemetry = _telemetry(lines, Engine(), Cards(), sink)
    for _ in range(32):
        telemetry.step(NOW)
    told = [(line["event"], line.get("code")) for line in lines.events]
    assert told == [("worker_metrics_not_published", "Throttling"), ("worker_metrics_published", None)]
    assert len(sink.names) == 2


def test_the_thread_ends_with_stop_and_survives_a_fault_of_ours(
    lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("user_data.agent.telemetry.until_next", lambda _now: 0.0)
    stop, second = threading.Event(), threading.Event()

    class Twice(Sink):
        def put(self, data: list[MetricDatumTypeDef]) -> None:
            if len(self.names) == 2:
                second.set()
            super().put(data)

    thread = start(_telemetry(lines, Engine(), Cards(), Twice([KeyError("a bug")])), stop)
    assert thread.daemon
    assert second.wait(5)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_a_dry_run_prints_what_would_be_published(lines: LogLines, capsys: pytest.CaptureFixture[str]) -> None:
    print_metrics(_telemetry(lines, Engine(), Cards(), Sink()))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == {"action": "publish", "metric": "KvUsage", "value": 25.0}
    assert printed[-1] == {"action": "publish", "metric": "GpuTemperature", "value": {"40": 1.0, "60": 1.0}}
    print_metrics(_telemetry(lines, Engine(None), Cards(()), Sink()))
    assert json.loads(capsys.readouterr().out)["action"] == "publish_nothing"


class Binding:
    """pynvml with one GPU; fails while a test says so."""

    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.starts = 0
        self.lost = False

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's names
        self.starts += 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        if self.lost:
            raise RuntimeError("GPU is lost")
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        return f"gpu-{index}"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:  # noqa: N802
        assert handle == "gpu-0"
        return SimpleNamespace(total=48 * 2**30, used=36 * 2**30)

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:  # noqa: N802
        assert handle == "gpu-0"
        return SimpleNamespace(gpu=97, memory=50)

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:  # noqa: N802
        assert (handle, sensor) == ("gpu-0", 0)
        return 66


def test_nvml_is_started_once_and_anew_after_a_fault() -> None:
    binding = Binding()
    gpus = Nvml(lambda name: binding if name == "pynvml" else None)
    assert [gpus.read(), gpus.read()] == [(Gpu(memory=75, utilization=97, temperature=66),)] * 2
    assert binding.starts == 1
    binding.lost = True
    with pytest.raises(GpuError, match=r"^pynvml: RuntimeError: GPU is lost$"):
        gpus.read()
    binding.lost = False
    assert len(gpus.read()) == 1
    assert binding.starts == 2


def test_a_host_without_the_binding_has_no_gpus() -> None:
    with pytest.raises(GpuError, match=r"^pynvml: ModuleNotFoundError: "):
        Nvml().read()


def test_a_driver_that_hangs_is_not_waited_for_and_not_asked_again_meanwhile() -> None:
    asked, release = [], threading.Event()

    class Hanging(Cards):
        def read(self) -> tuple[Gpu, ...]:
            asked.append(1)
            release.wait(20)
            return PAIR

    gpus = Patient(Hanging(), patience=0.05)
    for _ in range(3):
        with pytest.raises(GpuError, match=r"no answer within 0\.05 s"):
            gpus.read()
    assert len(asked) == 1
    release.set()
    assert Patient(Cards()).read() == PAIR


def test_a_patient_question_passes_errors_on() -> None:
    with pytest.raises(GpuError, match=r"^no GPU$"):
        Patient(Cards(GpuError("no GPU"))).read()
