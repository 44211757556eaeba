"""Publishes the metrics of each pool every ten seconds: ask router and engines, work it out, put it to CloudWatch.

It runs in a thread of its own beside discovery, which neither waits for it nor stops because of it. While the router
does not answer, only that is published: scaling then holds still, where an invented zero would shrink a pool. What
CloudWatch does not take is dropped, not kept for later: old values would only move alarms late.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import httpx

from user_data import metrics
from user_data.agent.aws import AwsError, FleetView
from user_data.agent.datum import datum, dimension_values
from user_data.agent.dry_run import print_nothing, print_values
from user_data.agent.load import until_next
from user_data.agent.pool_metrics import History, Now, PoolReading, pool_data, pool_readings, remember
from user_data.agent.router_page import RouterReading, read_router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

    from user_data.agent.engine_page import EngineReading
    from user_data.agent.log import Log

ROUTER_TIMEOUT_SECONDS = 2.0
"""The page comes from the router's memory: measured, 2 ms."""

STARTING = "starting"
NO_FAULT = ""


class RouterMetricsError(RuntimeError):
    """The router did not tell its metrics. `code` is the HTTP status, or the name of the network error."""

    def __init__(self, url: str, code: str, message: str) -> None:
        """Keep the code: one fault is logged once."""
        super().__init__(f"{url}: {code}: {message}")
        self.code = code


class Source(Protocol):
    """Where the router's metrics come from; `RouterMetrics` is it."""

    def reading(self) -> RouterReading:
        """Return what the router says of its workers and requests."""


class Engines(Protocol):
    """Where the engines' metrics come from; `engine_pages.EnginePages` is it."""

    def readings(self, urls: Iterable[str]) -> dict[str, EngineReading]:
        """Return what each engine says, without those that do not answer usefully."""


class Sink(Protocol):
    """Where the values go; `aws.Metrics` is it."""

    def put(self, data: list[MetricDatumTypeDef]) -> None:
        """Store the values."""


class RouterMetrics:
    """The edge to the router's Prometheus port, which takes no key and speaks no TLS."""

    def __init__(self, address: Callable[[], str], port: int) -> None:
        """`address` is asked for once, when it is first needed: the metadata service may have to be asked."""
        self._address = address
        self._port = port
        self._url: str | None = None

    def reading(self) -> RouterReading:
        """Return what the router says of its workers and requests.

        Raises:
            RouterMetricsError: no answer, or one that is no metrics page.
            MetadataError: this host's address is not known yet.
        """
        self._url = self._url or f"http://{self._address()}:{self._port}/metrics"
        try:
            answer = httpx.get(self._url, timeout=ROUTER_TIMEOUT_SECONDS, trust_env=False)
        except httpx.TransportError as error:
            raise RouterMetricsError(self._url, type(error).__name__, str(error)) from error
        if answer.status_code != HTTPStatus.OK:
            raise RouterMetricsError(self._url, str(answer.status_code), answer.text[:200])
        try:
            return read_router(answer.text)
        except ValueError as error:
            raise RouterMetricsError(self._url, type(error).__name__, str(error)) from error


@dataclass(frozen=True)
class Place:
    """Everything that the publisher touches outside itself."""

    deployment: str
    source: Source
    engines: Engines
    sink: Sink
    view: Callable[[], FleetView | None]
    """What discovery saw last, None while it has seen nothing; called from the publisher's thread."""


class Publisher:
    """Measures and publishes; remembers the last reading, and what went wrong last, to tell it once."""

    def __init__(self, place: Place, log: Log, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` tells the seconds between two readings: the time of day may be set in between."""
        self._place = place
        self._log = log
        self._monotonic = monotonic
        self._history = History()
        self._fault = STARTING

    def measure(self) -> tuple[PoolReading, ...]:
        """Ask the router and the engines, and return the values of every pool that discovery knows of.

        Raises:
            RouterMetricsError: the router did not answer.
            MetadataError: this host's address is not known yet.
        """
        view = self._place.view() or FleetView()
        router = self._place.source.reading()
        at = self._monotonic()
        urls = [worker.url for worker in view.in_service if worker.url]
        now = Now(at, router, self._place.engines.readings(urls))
        history, self._history = self._history, remember(self._history, now, urls)
        return pool_readings(history, now, view)

    def step(self, now: datetime) -> None:
        """Publish once, stamped with `now`; what goes wrong is logged, once per change."""
        silent: RouterMetricsError | None = None
        pools: tuple[PoolReading, ...] = ()
        try:
            try:
                pools = self.measure()
            except RouterMetricsError as error:
                silent = error
            self._place.sink.put(self._data(pools, now, up=silent is None))
        except Exception as error:  # noqa: BLE001 - even a fault of ours must not end scaling until the next restart
            self._failed(error)
        else:
            self._put(pools, silent)

    def run(self, stop: threading.Event, clock: Callable[[], float] = time.time) -> None:
        """Publish in the middle of every period of CloudWatch until `stop` is set."""
        while not stop.wait(until_next(clock())):
            self.step(datetime.fromtimestamp(clock(), UTC))

    def _data(self, pools: tuple[PoolReading, ...], now: datetime, *, up: bool) -> list[MetricDatumTypeDef]:
        name = self._place.deployment
        return [datum(metrics.ROUTER_UP, float(up), dimension_values(name), now), *pool_data(pools, name, now)]

    def _put(self, pools: tuple[PoolReading, ...], silent: RouterMetricsError | None) -> None:
        if silent:
            self._failed(silent)
        elif pools:
            self._published({reading.load.pool: reading.load.per_worker for reading in pools})

    def _published(self, loads: dict[str, float]) -> None:
        if self._fault != NO_FAULT:
            self._log.info("load_published", after=self._fault, loads=loads)
        self._fault = NO_FAULT

    def _failed(self, error: Exception) -> None:
        code = error.code if isinstance(error, AwsError | RouterMetricsError) else type(error).__name__
        if code != self._fault:  # once per change: an outage of an hour is not 360 lines
            self._log.warning("load_not_published", code=code, kind=type(error).__name__, message=str(error))
        self._fault = code


def start(publisher: Publisher, stop: threading.Event) -> threading.Thread:
    """Start publishing in a thread and return it. A daemon, so that a call under way never holds the process back."""
    thread = threading.Thread(target=publisher.run, args=(stop,), name="load", daemon=True)
    thread.start()
    return thread


def print_loads(publisher: Publisher) -> None:
    """Print what would be published now, one JSON object a metric, or why nothing of the pools would be.

    Raises:
        MetadataError: this host's address is not known.
    """
    try:
        measured = publisher.measure()
    except RouterMetricsError as error:
        print_nothing(str(error))
        return
    for reading in measured:
        load = reading.load
        print_values({metrics.LOAD: load.per_worker}, asdict(load))
        others = {metric: value for metric, value in reading.values.items() if metric != metrics.LOAD}
        print_values(others, {"pool": load.pool})
