"""Publishes the load of each pool every ten seconds: ask the router, work it out (`load`), put it to CloudWatch.

It runs in a thread of its own beside discovery, which neither waits for it nor stops because of it. While the router or
CloudWatch does not answer, nothing is published: scaling then holds still, where an invented zero would shrink a pool.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import httpx

from user_data.agent.aws import AwsError
from user_data.agent.load import PoolLoad, Samples, loads, metric_data, parse_samples, until_next
from user_data.node_config import METRIC_LOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

    from user_data.agent.aws import FleetView
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

    def samples(self) -> Samples:
        """Return what the router says of its workers."""


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

    def samples(self) -> Samples:
        """Return what the router says of its workers.

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
            return parse_samples(answer.text)
        except ValueError as error:
            raise RouterMetricsError(self._url, type(error).__name__, str(error)) from error


class Publisher:
    """Measures and publishes; remembers only what went wrong last, to tell it once."""

    def __init__(
        self, deployment: str, source: Source, sink: Sink, view: Callable[[], FleetView | None], log: Log
    ) -> None:
        """`view` returns what discovery saw last, None while it has seen nothing; it is called from the thread."""
        self._deployment = deployment
        self._source = source
        self._sink = sink
        self._view = view
        self._log = log
        self._fault = STARTING

    def measure(self) -> tuple[PoolLoad, ...]:
        """Ask the router, and return the load of every pool that discovery knows of.

        Raises:
            RouterMetricsError: the router did not answer.
            MetadataError: this host's address is not known yet.
        """
        view = self._view()
        if view is None or not view.pools:
            return ()
        return loads(self._source.samples(), view.workers, view.pools)

    def step(self, now: datetime) -> None:
        """Publish the load once, stamped with `now`; what goes wrong is logged, once per change."""
        try:
            measured = self.measure()
            if measured:
                self._sink.put(metric_data(measured, self._deployment, now))
                self._published(measured)
        except Exception as error:  # noqa: BLE001 - even a fault of ours must not end scaling until the next restart
            self._failed(error)

    def run(self, stop: threading.Event, clock: Callable[[], float] = time.time) -> None:
        """Publish in the middle of every period of CloudWatch until `stop` is set."""
        while not stop.wait(until_next(clock())):
            self.step(datetime.fromtimestamp(clock(), UTC))

    def _published(self, measured: tuple[PoolLoad, ...]) -> None:
        if self._fault != NO_FAULT:
            self._log.info("load_published", after=self._fault, loads={load.pool: load.per_worker for load in measured})
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
    """Print what would be published now, one JSON object a pool, or why nothing would be.

    Raises:
        MetadataError: this host's address is not known.
    """
    try:
        measured = publisher.measure()
    except RouterMetricsError as error:
        _print({"action": "publish_nothing", "reason": str(error)})
        return
    for load in measured:
        _print({"action": "publish", "metric": METRIC_LOAD, "value": load.per_worker, **asdict(load)})


def _print(fields: dict[str, str | float]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
