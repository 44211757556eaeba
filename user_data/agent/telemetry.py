"""Publishes what a worker's engine and GPUs say of themselves, every ten seconds, in one call to CloudWatch.

It runs in a thread of its own beside the worker's life, which neither waits for it nor ends because of it. The metrics
are the pool's: each worker adds its observations to the same ones, so that they cost the same for any number of
workers, and an average is one over workers.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from user_data import metrics
from user_data.agent.aws import AwsError
from user_data.agent.datum import Value, datum, dimension_values
from user_data.agent.dry_run import print_nothing, print_values
from user_data.agent.gpu import GpuError, Gpus, gpu_values
from user_data.agent.load import until_next
from user_data.agent.prompt_meter import PromptMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from user_data.agent.engine_page import EngineReading
    from user_data.agent.log import Log
    from user_data.agent.prompt_load import Speeds
    from user_data.agent.publisher import Sink

NO_FAULT = ""


class Pages(Protocol):
    """Where the engine is asked; `engine_pages.EnginePages` is it."""

    def readings(self, urls: Iterable[str]) -> dict[str, EngineReading]:
        """Return what each engine says, without those that do not answer usefully."""


@dataclass(frozen=True)
class Sources:
    """Where the values come from and go to; `url` is the worker's engine."""

    deployment: str
    pool: str
    url: str
    engine: Pages
    gpus: Gpus
    sink: Sink
    speeds: Speeds | None = None
    """None: no prompt load."""


def engine_values(reading: EngineReading) -> dict[metrics.Metric, Value]:
    """Return the values of an engine, without those that it does not tell."""
    values: dict[metrics.Metric, Value | None] = {
        metrics.KV_USAGE: None if reading.kv_usage is None else 100 * reading.kv_usage,
        metrics.RUNNING: reading.running,
        metrics.ENGINE_QUEUED: reading.queued,
        metrics.THROUGHPUT: reading.throughput,
    }
    return {metric: value for metric, value in values.items() if value is not None}


class Telemetry:
    """Measures and publishes; remembers what went wrong last, to tell it once, and what the engine did lately."""

    def __init__(self, sources: Sources, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is asked yet."""
        self._clock = clock
        self._prompts = PromptMeter(sources.speeds) if sources.speeds else None
        self._sources = sources
        self._log = log
        self._faults: dict[str, str] = {}

    def measure(self) -> dict[metrics.Metric, Value]:
        """Return what there is to publish: nothing of an engine that does not answer, or of GPUs that do not."""
        engines = self._sources.engine.readings([self._sources.url]).values()
        values = {metric: value for reading in engines for metric, value in engine_values(reading).items()}
        return values | self._prompt_load(engines) | self._of_gpus()

    def step(self, now: datetime) -> None:
        """Publish once, stamped with `now`; what goes wrong is logged, once per change."""
        try:
            values = self.measure()
            dimensions = dimension_values(self._sources.deployment, self._sources.pool)
            if values:
                self._sources.sink.put([datum(metric, value, dimensions, now) for metric, value in values.items()])
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end it until the next restart
            self._wrong("worker_metrics_not_published", error)
        else:
            self._right("worker_metrics_not_published", "worker_metrics_published")

    def run(self, stop: threading.Event, clock: Callable[[], float] = time.time) -> None:
        """Publish in the middle of every period of CloudWatch until `stop` is set."""
        while not stop.wait(until_next(clock())):
            self.step(datetime.fromtimestamp(clock(), UTC))

    def _prompt_load(self, engines: Iterable[EngineReading]) -> dict[metrics.Metric, Value]:
        for reading in engines:
            load = self._prompts.read(self._clock(), reading) if self._prompts else None
            return {} if load is None else {metrics.PROMPT_LOAD: load}
        return {}

    def _of_gpus(self) -> dict[metrics.Metric, Value]:
        try:
            values = gpu_values(self._sources.gpus.read())
        except GpuError as error:
            self._wrong("gpus_unknown", error)
            return {}
        self._right("gpus_unknown", "gpus_known")
        return values

    def _wrong(self, event: str, error: Exception) -> None:
        code = error.code if isinstance(error, AwsError) else type(error).__name__
        if self._faults.get(event, NO_FAULT) != code:
            self._log.warning(event, code=code, kind=type(error).__name__, message=str(error))
        self._faults[event] = code

    def _right(self, event: str, told: str) -> None:
        after = self._faults.pop(event, NO_FAULT)
        if after != NO_FAULT:
            self._log.info(told, after=after)


def start(telemetry: Telemetry, stop: threading.Event) -> threading.Thread:
    """Start publishing in a thread and return it. A daemon, so that a call under way never holds the process back."""
    thread = threading.Thread(target=telemetry.run, args=(stop,), name="telemetry", daemon=True)
    thread.start()
    return thread


def print_metrics(telemetry: Telemetry) -> None:
    """Print what would be published now, one JSON object a metric, or that nothing would be."""
    values = telemetry.measure()
    print_values(values, {})
    if not values:
        print_nothing("neither the engine nor a GPU answers")
