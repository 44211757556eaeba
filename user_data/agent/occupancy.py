"""What an engine has to do, and whether it gets on with it.

From `GET /v1/loads` of SGLang 0.5.23: a snapshot per data-parallel rank that the scheduler leaves in shared memory
after each prefill step, every few decode steps, and when it becomes idle (srt/managers/load_snapshot.py). So:

- It answers while the scheduler hangs. Progress is read from its counters, never from the fact of an answer.
- A request in its first prefill step is in no count yet. Whoever wants to trust a zero has the engine generate one
  token first: the scheduler then has been round once, and the snapshot is newer than the question (`life`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

LOADS_PATH = "/v1/loads?include=core,queues"
METRICS_PATH = "/metrics"
TIMEOUT_SECONDS = 2.0
"""It is read from memory: measured, single milliseconds."""

# The gauges of the same counts, for an engine without /v1/loads; updated at most once per log interval.
_GAUGE = re.compile(r"^sglang:(num_running_reqs|num_queue_reqs|num_used_tokens)(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class OccupancyError(RuntimeError):
    """The engine did not say what it has to do."""


class EngineSilentError(OccupancyError):
    """The engine did not answer at all."""


class _Queues(BaseModel):
    model_config = ConfigDict(frozen=True)

    grammar: int = 0
    paused: int = 0


class _Rank(BaseModel):
    model_config = ConfigDict(frozen=True)

    num_running_reqs: int
    num_waiting_reqs: int
    num_waiting_uncached_tokens: int = 0
    num_used_tokens: int = 0
    total_prefill_uncached_tokens: int = 0
    total_prefill_busy_us: int = 0
    decode_moments: tuple[float, ...] | None = None
    queues: _Queues = _Queues()

    @property
    def progress(self) -> tuple[float, ...]:
        return (
            self.num_running_reqs,
            self.num_used_tokens,
            self.total_prefill_uncached_tokens,
            self.total_prefill_busy_us,
            *(self.decode_moments or ()),
        )


class _Loads(BaseModel):
    model_config = ConfigDict(frozen=True)

    loads: tuple[_Rank, ...]


@dataclass(frozen=True)
class Occupancy:
    """What an engine has to do. `progress` differs between two moments when its scheduler did something in between."""

    running: int
    queued: int
    unread_tokens: int = 0
    """Prompt tokens still to be read: a long prompt that is read in chunks counts neither as running nor as queued."""
    progress: tuple[float, ...] = ()

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not (self.running or self.queued or self.unread_tokens)


def read_loads(text: str) -> Occupancy:
    """Read the body of /v1/loads.

    Raises:
        OccupancyError: it is something else, or of no rank.
    """
    try:
        ranks = _Loads.model_validate_json(text).loads
    except ValidationError as error:
        raise OccupancyError(f"{LOADS_PATH}: {error.error_count()} fault(s): {error.errors()[0]['msg']}") from error
    if not ranks:
        raise OccupancyError(f"{LOADS_PATH}: no rank has said anything yet")
    return Occupancy(
        running=sum(rank.num_running_reqs for rank in ranks),
        queued=sum(rank.num_waiting_reqs + rank.queues.grammar + rank.queues.paused for rank in ranks),
        unread_tokens=sum(rank.num_waiting_uncached_tokens for rank in ranks),
        progress=tuple(number for rank in ranks for number in rank.progress),
    )


def read_metrics(text: str) -> Occupancy:
    """Read the gauges of /metrics.

    Raises:
        OccupancyError: the counts of requests are not among them.
    """
    found = [(name, float(value)) for name, value in _GAUGE.findall(text)]
    if not {"num_running_reqs", "num_queue_reqs"} <= {name for name, _ in found}:
        raise OccupancyError(f"{METRICS_PATH}: no sglang:num_running_reqs or no sglang:num_queue_reqs")
    return Occupancy(
        running=int(sum(value for name, value in found if name == "num_running_reqs")),
        queued=int(sum(value for name, value in found if name == "num_queue_reqs")),
        progress=tuple(value for _, value in found),
    )


class EngineLoads:
    """The edge to one engine."""

    def __init__(self, url: str, api_key: str | None) -> None:
        """Nothing is asked yet."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def occupancy(self) -> Occupancy:
        """Return what the engine has to do, from /v1/loads or, where that is missing or strange, from /metrics.

        Raises:
            OccupancyError: neither says.
        """
        try:
            return read_loads(self._get(LOADS_PATH))
        except EngineSilentError:
            raise  # another path of the same process would only wait again
        except OccupancyError as error:
            try:
                return read_metrics(self._get(METRICS_PATH))
            except OccupancyError as second:
                raise OccupancyError(f"{error}; {second}") from second

    def _get(self, path: str) -> str:
        try:
            answer = self._http.get(path)
        except httpx.TransportError as error:
            raise EngineSilentError(f"{path}: {type(error).__name__}: {error}") from error
        if answer.status_code != HTTPStatus.OK:
            raise OccupancyError(f"{path}: the engine answered {answer.status_code}")
        return answer.text
