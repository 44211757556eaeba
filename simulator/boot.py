"""How long a worker takes from the decision to its first request: pure arithmetic over settings, with its sources."""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.engine.config import EmulatorConfig
from settings.boots import constants as known
from settings.catalogue import catalogue
from settings.workers import WorkerPool

COLD_START_SECONDS = (known.API_SECONDS.value + known.PENDING_SECONDS.value) + known.GUEST_SECONDS.value
"""RunInstances to a host that answers. That a GPU host takes as long is an assumption."""
STOPPED_START_SECONDS = known.STOPPED_SECONDS.value
"""StartInstances of a stopped one."""
ENGINE_SECONDS = 20.0
"""What an engine needs besides reading its weights: 18 to 21 s, whatever reads them (run-ai/runai-model-streamer,
docs/src/benchmarks.md: time to ready less time to load). The published tables of docs/scaling-results.md were made with
it; `settings.boots` knows more phases and takes longer."""
ROUTABLE_SECONDS = known.ROUTABLE_SECONDS.value
"""From ready to routable."""
MIB_PER_MB = 1e6 / 2**20
MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True)
class Boot:
    """Seconds from launch to routable: of a new host, and of one that waits in the warm pool."""

    cold: float
    warm: float


def boot_of(pool: WorkerPool, weight_gib: float = EmulatorConfig.weight_gib) -> Boot:
    """The boot times of a pool's workers; `weight_gib` is the size of the model's files in GiB.

    Start of the host, then reading the weights, then the engine, then the router. A new volume gives its weights no
    faster than its snapshot is read (`initialization_rate_mib`); one that was read before gives what it is provisioned
    for. Neither is faster than the instance type's EBS peak. A warm host that runs leaves
    out the start only: its engine is stopped.
    """
    volume, ebs = pool.model_volume, catalogue().instances[pool.instance_type].ebs_peak_mb_s * MIB_PER_MB
    read = min(volume.throughput_mib, ebs)
    first = min(volume.initialization_rate_mib, read)
    weights = weight_gib * MIB_PER_GIB
    rest = ENGINE_SECONDS + ROUTABLE_SECONDS
    start = STOPPED_START_SECONDS if pool.warm_pool.state == "stopped" else 0.0
    return Boot(COLD_START_SECONDS + weights / first + rest, start + weights / read + rest)
