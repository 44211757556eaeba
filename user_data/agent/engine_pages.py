"""The edge to the engines' Prometheus pages: all are asked at once, and none is waited for longer than the others.

The router host asks every engine of the fleet, a worker its own. `/metrics` of SGLang takes no API key.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from user_data.agent.engine_page import PATH, EnginePageError, EngineReading, read_engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from user_data.agent.log import Log

TIMEOUT_SECONDS = 1.0
"""For each connection and each piece of an answer. A page of 57 kB takes 2 ms (measured)."""
DEADLINE_SECONDS = 3.0
"""For all pages together, also for an engine that sends its page drop by drop."""
MAX_BYTES = 4_000_000
"""SGLang's page has tens of kB; whatever is much longer is another page."""
MAX_CONNECTIONS = 64
"""At once. Measured: the pages of 1,000 engines take 1.5 s and as much CPU, those of 100 take 0.2 s."""

SILENT = "silent"


class PageUnavailableError(RuntimeError):
    """The engine did not tell its metrics. `code` is an HTTP status or an error's name: one fault is logged once."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code."""
        super().__init__(message)
        self.code = code


def fetch(http: httpx.Client, url: str, deadline: float) -> EngineReading:
    """Return what the engine at `url` says; `deadline` is a time of time.monotonic().

    Raises:
        PageUnavailableError: no answer, a late one, or one that is no page of metrics.
    """
    try:
        with http.stream("GET", f"{url}{PATH}") as answer:
            if answer.status_code != HTTPStatus.OK:
                raise PageUnavailableError(str(answer.status_code), f"{PATH}: the engine answered {answer.status_code}")
            return read_engine(_text(answer, deadline))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PageUnavailableError(type(error).__name__, f"{PATH}: {type(error).__name__}: {error}") from error
    except EnginePageError as error:
        raise PageUnavailableError("garbage", str(error)) from error


def _text(answer: httpx.Response, deadline: float) -> str:
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES or time.monotonic() > deadline:
            raise PageUnavailableError("endless", f"{PATH}: {size} bytes and no end")
    return b"".join(parts).decode(errors="replace")


class EnginePages:
    """Asks engines; remembers who did not answer, to tell it once, to ask the others first and not to pile up calls."""

    def __init__(self, log: Log) -> None:
        """Nothing is asked yet."""
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)
        self._log = log
        self._faults: dict[str, str] = {}
        self._under_way: dict[str, Future[EngineReading]] = {}

    def readings(self, urls: Iterable[str]) -> dict[str, EngineReading]:
        """Return what each engine says, without those that do not answer usefully within DEADLINE_SECONDS."""
        asked = sorted(urls, key=lambda url: (url in self._faults, url))
        answers = self._ask(asked)
        faults = {url: answer for url, answer in answers.items() if isinstance(answer, PageUnavailableError)}
        self._tell(faults, asked)
        return {url: answer for url, answer in answers.items() if isinstance(answer, EngineReading)}

    def _ask(self, urls: list[str]) -> dict[str, EngineReading | PageUnavailableError]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        held = {url for url, future in self._under_way.items() if not future.done()}
        pool = ThreadPoolExecutor(MAX_CONNECTIONS, "engine-page")
        futures = {url: pool.submit(fetch, self._http, url, deadline) for url in urls if url not in held}
        wait(futures.values(), DEADLINE_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)
        # One that is held sends its headers drop by drop, which no time limit of a single read ends.
        self._under_way = {url: future for url, future in {**self._under_way, **futures}.items() if not future.done()}
        return {url: _answer(futures.get(url)) for url in urls}

    def _tell(self, faults: Mapping[str, PageUnavailableError], asked: list[str]) -> None:
        for url in asked:
            fault, last = faults.get(url), self._faults.get(url)
            if fault and fault.code != last:
                self._log.warning("engine_metrics_left_out", url=url, code=fault.code, message=str(fault)[:300])
            if last and not fault:
                self._log.info("engine_metrics_back", url=url, after=last)
        self._faults = {url: fault.code for url, fault in faults.items()}


def _answer(future: Future[EngineReading] | None) -> EngineReading | PageUnavailableError:
    if future is None or not future.done() or future.cancelled():
        return PageUnavailableError(SILENT, f"{PATH}: no answer within {DEADLINE_SECONDS:g} s")
    error = future.exception()
    if error is None:
        return future.result()
    return error if isinstance(error, PageUnavailableError) else PageUnavailableError(type(error).__name__, str(error))
