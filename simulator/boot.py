"""How long a worker takes from the decision to its first request: pure arithmetic over settings, with its sources."""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.engine.config import EmulatorConfig
from settings.catalogue import catalogue
from settings.workers import WorkerPool

COLD_START_SECONDS = 25.8
"""RunInstances to a host that answers: API 4.8 s, pending to running 17.8 s, boot 3.2 s; measured for m7i.large with
Amazon Linux 2023 (brevdev/ec2-coldboot-research, docs/cold-baseline-results.md). That a GPU host takes as long is an
assumption."""
STOPPED_START_SECONDS = 21.2
"""StartInstances of a stopped one, same source (start-stopped-results.md)."""
ENGINE_SECONDS = 20.0
"""What an engine needs besides reading its weights: 18 to 21 s, whatever reads them (run-ai/runai-model-streamer,
docs/src/benchmarks.md: time to ready less time to load)."""
ROUTABLE_SECONDS = 2.3
"""From ready to routable: ADR 6, measured with smg 1.13.0."""
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
