"""What a run comes to: one row per policy, as numbers and as JSON whose bytes depend on nothing but the input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

from settings.costs.prices import price_list
from settings.workers import WorkerPool
from simulator.capacity import HOUR, Hours
from simulator.histogram import Histogram
from simulator.run import Run
from simulator.workload import Workload

OSCILLATION_SECONDS = 900.0
"""A change of the desired capacity against the one before it, within 15 minutes, is an oscillation: shorter than any
load that a worker with a boot of minutes could follow with profit (our definition)."""
MODEL_VOLUME_GIB = 20
"""Size of the default model's volume, when the settings leave it to the bake (19 GB of weights)."""
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Prices:
    """USD: an hour of a worker, and an hour of a stopped one's volumes; None: the catalogue has no price."""

    worker_hour: float | None
    stopped_hour: float | None

    @classmethod
    def of(cls, pool: WorkerPool, region: str) -> Prices:
        """On demand in a region; volumes by their size, without provisioned IOPS and throughput."""
        model = pool.model_volume.size_gib or MODEL_VOLUME_GIB
        gib = pool.volume.size_gib + (model if pool.model_volume.enabled else 0)
        worker = price_list().find(region, f"ec2/{pool.instance_type}")
        storage = price_list().find(region, "ebs/gp3-storage")
        return cls(worker.usd if worker else None, gib * storage.usd / storage.hours if storage else None)

    def usd(self, gpu_hours: float, hours: Hours) -> float | None:
        """What it costs together."""
        if self.worker_hour is None or (self.stopped_hour is None and hours.stopped):
            return None
        return gpu_hours * self.worker_hour + hours.stopped / HOUR * (self.stopped_hour or 0.0)


@dataclass(frozen=True, slots=True)
class Result:
    """One policy on one trace. Times in seconds; hours are of workers (hosts), one GPU each for g6e.xlarge."""

    policy: str
    parameter: float | None
    slo_attainment: float | None
    meets_slo: bool
    gpu_hours: float
    usd: float | None
    over_provisioning: float | None
    """Hours over those of the clairvoyant; None where it was not computed."""
    ttft_p50: float | None
    ttft_p90: float | None
    ttft_p99: float | None
    itl_p50: float | None
    itl_p90: float | None
    itl_p99: float | None
    e2e_p50: float | None
    e2e_p90: float | None
    e2e_p99: float | None
    requests: int
    completed: int
    lost: int
    refused: int
    too_long: int
    """Of the refused, those that no engine can hold; they do not count in the attainment."""
    cache_hit_rate: float | None
    scale_events: int
    oscillations: int
    workers_least: int
    workers_most: int
    warm_hours: float
    """Hours that hosts were stopped in the warm pool."""
    prompt_tokens: int
    """Of the requests admitted; with the next, what `settings.costs.tokens` divides a bill by."""
    output_tokens: int
    """Of the requests completed."""

    def as_json(self) -> dict[str, Any]:
        """The row with times and shares rounded, so that no platform's last bit shows."""
        return {key: round(value, DIGITS) if isinstance(value, float) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Labels:
    """What a run is called, and what it is charged and compared with."""

    policy: str
    parameter: float | None
    prices: Prices
    clairvoyant_hours: float | None = None


def result(run: Run, workload: Workload, labels: Labels, gpu_hours: float | None = None) -> Result:
    """Sum up a run; `gpu_hours` replaces what its group was charged (the clairvoyant's boots)."""
    served, hours = run.served, run.group.hours
    charged = hours.gpu_hours if gpu_hours is None else gpu_hours
    attainment = _known(served.attainment)
    ratio = charged / labels.clairvoyant_hours if labels.clairvoyant_hours else None
    return Result(
        policy=labels.policy,
        parameter=labels.parameter,
        slo_attainment=attainment,
        meets_slo=attainment is None or attainment >= workload.attainment,
        gpu_hours=charged,
        usd=labels.prices.usd(charged, hours),
        over_provisioning=ratio,
        **_percentiles("ttft", served.ttft),
        **_percentiles("itl", served.itl),
        **_percentiles("e2e", served.e2e),
        requests=served.requests,
        completed=served.completed,
        lost=served.lost,
        refused=served.refused,
        too_long=served.too_long,
        cache_hit_rate=_known(served.cache_hit_rate),
        scale_events=len(run.changes) - 1,
        oscillations=oscillations(run.changes),
        workers_least=min(workers for _, workers in run.changes),
        workers_most=max(workers for _, workers in run.changes),
        warm_hours=hours.stopped / HOUR,
        prompt_tokens=served.prompt_tokens,
        output_tokens=served.output_tokens,
    )


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


def _percentiles(name: str, histogram: Histogram) -> dict[str, Any]:
    return {f"{name}_p{round(share * 100)}": _known(histogram.percentile(share)) for share in (0.5, 0.9, 0.99)}


def oscillations(changes: list[tuple[float, int]]) -> int:
    """How often the desired capacity turned round within OSCILLATION_SECONDS of its last change."""
    moves = [(at, after - before) for (_, before), (at, after) in pairwise(changes)]
    return sum(
        first * second < 0 and later - earlier <= OSCILLATION_SECONDS
        for (earlier, first), (later, second) in pairwise(moves)
    )


def to_json(results: list[Result], **about: object) -> str:
    """The results as the JSON of `fleet simulate --json`: same input, same bytes."""
    return json.dumps({**about, "policies": [row.as_json() for row in results]}, indent=2, allow_nan=False)
