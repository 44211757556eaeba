"""Every metric that the deployment publishes of itself: the one place of names, units and dimensions.

Published by the programs on the hosts, read by the scaling policies, alarms and the dashboard. It is installed on
hosts, so it imports nothing but the standard library and node_config.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from user_data.node_config import DIMENSION_DEPLOYMENT, DIMENSION_POOL, METRIC_INTERVAL_SECONDS, METRIC_LOAD

Unit = Literal["Count", "Count/Second", "Percent", "Seconds", "None"]
Statistic = Literal["Average", "Maximum", "Minimum", "Sum", "p90"]


class Publisher(Enum):
    """Who publishes a metric."""

    ROUTER = "router host"
    WORKER = "each worker"
    LOGS = "a metric filter of the log group"


@dataclass(frozen=True)
class Metric:
    """One metric: under which dimensions it stands, and the statistic that answers its question."""

    name: str
    unit: Unit
    statistic: Statistic
    publisher: Publisher
    meaning: str
    dimensions: tuple[str, ...] = (DIMENSION_DEPLOYMENT, DIMENSION_POOL)
    period_seconds: int = METRIC_INTERVAL_SECONDS

    def dimension_values(self, deployment: str, pool: str) -> dict[str, str]:
        """Return the dimensions under which the metric of a pool (or of the whole deployment) stands."""
        values = {DIMENSION_DEPLOYMENT: deployment, DIMENSION_POOL: pool}
        return {name: values[name] for name in self.dimensions}


def log_namespace(namespace: str, deployment: str, pool: str) -> str:
    """Return the namespace of what metric filters count of a pool.

    A filter takes dimensions only from fields of the line that it matches, and lines of a boot that failed early are
    plain text. So these metrics have no dimensions, and the namespace says whose they are.
    """
    return f"{namespace}/{deployment}/{pool}"


def _router(name: str, unit: Unit, statistic: Statistic, meaning: str) -> Metric:
    return Metric(name, unit, statistic, Publisher.ROUTER, meaning)


def _worker(name: str, unit: Unit, statistic: Statistic, meaning: str) -> Metric:
    return Metric(name, unit, statistic, Publisher.WORKER, meaning)


def _counted(name: str, meaning: str) -> Metric:
    return Metric(name, "Count", "Sum", Publisher.LOGS, meaning, dimensions=(), period_seconds=60)


IN_FLIGHT: Final = _router("InFlight", "Count", "Average", "Requests sent to workers and not answered yet.")
QUEUED: Final = _router("Queued", "Count", "Average", "Of those, the ones that wait in an engine's queue.")
READY_WORKERS: Final = _router("ReadyWorkers", "Count", "Minimum", "Workers in service that the router finds healthy.")
LOAD: Final = _router(METRIC_LOAD, "Count", "Average", "Requests in flight per ready worker.")
REQUEST_RATE: Final = _router("RequestRate", "Count/Second", "Average", "Requests that came in.")
ERROR_RATE: Final = _router("ErrorRate", "Percent", "Average", "Share of requests answered with 500 and above.")
TIME_TO_FIRST_TOKEN: Final = _router("TimeToFirstToken", "Seconds", "p90", "From request to first token, of streams.")
INTER_TOKEN_LATENCY: Final = _router("InterTokenLatency", "Seconds", "p90", "From one token to the next, of streams.")
CACHE_HIT_RATE: Final = _router("CacheHitRate", "Percent", "Average", "Share of prompt tokens found in a cache.")
ROUTER_UP: Final = Metric(
    "RouterUp", "Count", "Minimum", Publisher.ROUTER, "1 while the router answers.", (DIMENSION_DEPLOYMENT,)
)

KV_USAGE: Final = _worker("KvUsage", "Percent", "Average", "Share of the KV memory that running requests hold.")
RUNNING: Final = _worker("EngineRunning", "Count", "Average", "Requests that an engine runs.")
ENGINE_QUEUED: Final = _worker("EngineQueued", "Count", "Average", "Requests that wait in an engine's queue.")
THROUGHPUT: Final = _worker("GenerationThroughput", "Count/Second", "Average", "Tokens that an engine generates.")
PROMPT_LOAD: Final = _worker("PromptLoad", "Percent", "Average", "Time for prompts, of what a worker's answers bear.")
GPU_MEMORY: Final = _worker("GpuMemory", "Percent", "Maximum", "Share of a GPU's memory in use.")
GPU_UTILIZATION: Final = _worker("GpuUtilization", "Percent", "Average", "Share of the time a GPU computes.")
GPU_TEMPERATURE: Final = _worker("GpuTemperature", "None", "Maximum", "Temperature of a GPU, degrees Celsius.")

BOOT_FAILURES: Final = _counted("BootFailures", "Lines of hosts that gave up before they could serve.")
REFUSED: Final = _counted(
    "RefusedRequests", "Requests for the pool's model that found no worker (pools that may be empty)."
)

POOL_METRICS: Final = (
    IN_FLIGHT,
    QUEUED,
    READY_WORKERS,
    LOAD,
    REQUEST_RATE,
    ERROR_RATE,
    TIME_TO_FIRST_TOKEN,
    INTER_TOKEN_LATENCY,
    CACHE_HIT_RATE,
)
WORKER_METRICS: Final = (
    KV_USAGE,
    RUNNING,
    ENGINE_QUEUED,
    THROUGHPUT,
    PROMPT_LOAD,
    GPU_MEMORY,
    GPU_UTILIZATION,
    GPU_TEMPERATURE,
)
LOG_METRICS: Final = (BOOT_FAILURES, REFUSED)
"""In the namespace that `log_namespace` names."""

ALL_METRICS: Final = (*POOL_METRICS, ROUTER_UP, *WORKER_METRICS, *LOG_METRICS)
