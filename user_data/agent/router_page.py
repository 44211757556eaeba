"""What smg 1.13.0's Prometheus page says of requests and answers. No call is made here.

All measured, over HTTP with two kinds of engine (one that fails on purpose):

- `smg_router_requests_total{model="…",…}`: each request once, when it comes in, however often it is tried. `model` is
  the name that clients send, and `other` for a model of which no worker is listed.
- `smg_router_request_errors_total{model="…",error_type="…",…}`: requests that ended in `backend_error` or
  `unavailable` (answered with 500 or above), `validation_error` or `no_workers` (400 and 404). One that no worker could
  be connected for is missing here, though it is answered with 500.
- `smg_http_responses_total{path="…",status_code="…",…}`: every answer, but neither by model nor by worker.
- `smg_worker_requests_total{worker="…",…}`: each try, by worker.

Over HTTP smg has no time to first token and no inter-token latency, its `smg_router_request_duration_seconds` ends a
stream with its headers, and for `smg_engine_waiting_requests` and `/loads` it polled only one of two engines of a
model. So queues, latencies and cache hits are asked of the engines themselves (`engine_page`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from user_data.agent.load import Samples, parse_samples
from user_data.agent.prometheus import read

if TYPE_CHECKING:
    from user_data.agent.prometheus import Sample

REQUESTS = "smg_router_requests_total"
ERRORS = "smg_router_request_errors_total"
ANSWERS = "smg_http_responses_total"
SENT = "smg_worker_requests_total"
WANTED = frozenset({REQUESTS, ERRORS, ANSWERS, SENT})

UNLISTED = "other"
"""smg's `model` of a request for a model of which it has no worker."""
CLIENTS_OWN = frozenset({"validation_error", "no_workers"})
"""Kinds of error that are answered with a status below 500."""
_NOT_GENERATING = ("/v1/models", "/v1/loads")


@dataclass(frozen=True)
class RouterReading:
    """What the router said at one moment; counters since its start."""

    samples: Samples
    requests: Mapping[str, float] = field(default_factory=dict)
    """By model."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """Answered with a status of 500 and above, by model; not all of `failed`."""
    sent: Mapping[str, float] = field(default_factory=dict)
    """By worker's URL."""
    failed: float = 0.0
    """Answers to clients with a status of 500 and above."""


def read_router(text: str) -> RouterReading:
    """Read the router's page.

    Raises:
        ValueError: a value is not a number.
    """
    found = read(text, WANTED)
    errors = [sample for sample in found.get(ERRORS, ()) if sample.labels.get("error_type") not in CLIENTS_OWN]
    return RouterReading(
        samples=parse_samples(text),
        requests=_by("model", found.get(REQUESTS, ())),
        errors=_by("model", errors),
        sent=_by("worker", found.get(SENT, ())),
        failed=sum(sample.value for sample in found.get(ANSWERS, ()) if _failed(sample)),
    )


def _by(label: str, samples: tuple[Sample, ...] | list[Sample]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for sample in samples:
        key = sample.labels.get(label, "")
        sums[key] = sums.get(key, 0.0) + sample.value
    return sums


def _failed(sample: Sample) -> bool:
    path, status = sample.labels.get("path", ""), sample.labels.get("status_code", "")
    generating = path == "/generate" or (path.startswith("/v1/") and not path.startswith(_NOT_GENERATING))
    return generating and status.isdecimal() and int(status) >= HTTPStatus.INTERNAL_SERVER_ERROR
