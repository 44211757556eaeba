"""Waits until the deployment serves, as a client and an operator see it: the router's own readiness and worker list."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx

from rehearsal import cloud_process
from rehearsal.commands import StepFailedError

POLL_SECONDS = 0.5
REQUEST_SECONDS = 10.0
HOPELESS_RESTARTS = 4
READY = "ready"  # smg's other states: pending, not_ready, draining, failed
CACHED_TOKENS = re.compile(r"^sglang:cached_tokens_total\{[^}]*\} (?P<value>[0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Router:
    """The router under test."""

    url: str
    api_key: str | None

    @cached_property
    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return httpx.Client(base_url=self.url, trust_env=False, timeout=REQUEST_SECONDS, headers=headers)

    def _get(self, path: str) -> httpx.Response | None:
        try:
            return self._client.get(path)
        except httpx.HTTPError:
            return None  # not up yet: the caller asks again until its time is over

    def ready(self) -> bool:
        """Whether the router says that it can serve."""
        response = self._get("/readiness")
        return response is not None and response.status_code == httpx.codes.OK

    def healthy_workers(self) -> tuple[str, ...]:
        """URLs of the workers that the router sends requests to."""
        return tuple(sorted(self.routed_workers() or ()))

    def routed_workers(self) -> frozenset[str] | None:
        """URLs of the workers that new requests go to; None when the router does not answer."""
        response = self._get("/workers")
        if response is None or response.status_code != httpx.codes.OK:
            return None
        return frozenset(worker["url"] for worker in response.json()["workers"] if worker["status"] == READY)


def check_machines() -> None:
    """See whether a machine says that it cannot come up: waiting longer would not help.

    Raises:
        StepFailedError: one does.
    """
    for machine in cloud_process.machines():
        if machine["error"]:
            raise StepFailedError(f"machine {machine['id']}: {machine['error']}")
        for unit, restarts in machine["restarts"].items():
            if restarts >= HOPELESS_RESTARTS:
                reason = f"machine {machine['id']}: {unit} was started {restarts + 1} times and does not stay up"
                raise StepFailedError(reason, Path(machine["logs"][unit]))
    for incident in cloud_process.incidents():
        reason = f"machine {incident['instance_id']} powered itself off: {incident['reason']}"
        raise StepFailedError(reason, Path(incident["log"]))


def wait_until_serving(
    router: Router, workers: int, limit_seconds: float, say: Callable[[str], None]
) -> tuple[str, ...]:
    """Wait until the router is ready and knows enough healthy workers.

    Returns:
        Their URLs.

    Raises:
        StepFailedError: a machine cannot boot, or it took too long.
    """
    deadline = time.monotonic() + limit_seconds
    urls: tuple[str, ...] = ()
    while time.monotonic() < deadline:
        ready, urls = router.ready(), router.healthy_workers()
        if ready and len(urls) >= workers:
            return urls
        check_machines()
        say(f"router {'ready' if ready else 'not ready'}, {len(urls)} of {workers} workers in service")
        time.sleep(POLL_SECONDS)
    raise StepFailedError(
        f"after {limit_seconds:.0f} s the router at {router.url} has {len(urls)} of {workers} workers"
    )


def cached_tokens(worker_urls: tuple[str, ...]) -> int:
    """Prompt tokens that the engines found in their prefix caches, from their own metrics.

    Raises:
        httpx.HTTPError: an engine does not answer.
    """
    with httpx.Client(trust_env=False, timeout=REQUEST_SECONDS) as client:
        texts = [client.get(f"{url}/metrics").raise_for_status().text for url in worker_urls]
    return int(sum(float(found["value"]) for text in texts for found in CACHED_TOKENS.finditer(text)))


def wait_until_off(say: Callable[[str], None], limit_seconds: float = 60.0) -> None:
    """Wait until every machine has shut down by itself: a destroyed host drains and stops its programs first.

    Raises:
        StepFailedError: one still runs when the time is over.
    """
    deadline = time.monotonic() + limit_seconds
    while (names := cloud_process.switched_on()) and time.monotonic() < deadline:
        say(f"{len(names)} machines are shutting down")
        time.sleep(POLL_SECONDS)
    if names:
        raise StepFailedError(f"after {limit_seconds:.0f} s these machines still run: {', '.join(names)}")
