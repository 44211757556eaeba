"""How fast bytes come from where they lie: pure arithmetic over the catalogue of instance types. MB/s throughout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from settings.boots import constants as known
from settings.boots.constants import MB, MIB

if TYPE_CHECKING:
    from settings.catalogue import GpuInstance

BURST_SECONDS = 30 * 60
"""An instance keeps its EBS peak for at least 30 minutes once a day (EC2 user guide, "EBS-optimized")."""
MBIT_PER_MBYTE = 8


def mib_to_mb(rate_mib: float) -> float:
    """Turn MiB/s into MB/s."""
    return rate_mib * MIB / MB


def seconds_for(size_bytes: float, rate_mb: float) -> float:
    """How long `size_bytes` take at `rate_mb` MB/s."""
    return size_bytes / (rate_mb * MB)


def ebs_rate(instance: GpuInstance, size_bytes: float, volume_mib: float = math.inf) -> float:
    """What a volume whose blocks are there gives: its throughput, not above the instance's.

    The instance's peak, or its baseline where the reading outlasts the burst.
    """
    volume = mib_to_mb(volume_mib)
    peak = min(volume, instance.ebs_peak_mb_s)
    if seconds_for(size_bytes, peak) <= BURST_SECONDS:
        return peak
    return min(volume, instance.ebs_mb_s)


def s3_rate(instance: GpuInstance) -> float:
    """What parallel readers get from S3 through the gateway endpoint: a share of the network's peak, with a ceiling."""
    network = instance.network_peak_gbps * 1000 / MBIT_PER_MBYTE
    return min(network * known.S3_SHARE.value, known.S3_HOST_RATE.value)


def nvme_rate(instance: GpuInstance) -> float:
    """What the instance store gives: one disk's rate for each that the size implies; 0 without any."""
    disks = math.ceil(instance.nvme_gb / known.NVME_DISK_GB.value)
    return disks * known.NVME_RATE.value
