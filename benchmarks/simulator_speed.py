"""How fast the simulator is: simulated requests a second of one core, memory, compile time; and same seed, same bytes.

    python benchmarks/simulator_speed.py [--trace FILE ...] [--requests N] [--workers N] [--json]

Without files the workloads are made by seed: like Azure's conversations of 2023 (prompts of 1,155 and answers of 211
tokens on average, no shared prefix) and like Mooncake's (24 blocks of 512 tokens, some of them shared). Files are
scaled to the same load for each worker and repeated up to the number of requests. Each figure is of a process of its
own, so that memory is its own; everything from the trace to the totals is in it, an interval each 10 s as the control
side asks for. The fluid mode runs a fortnight of 2,016 rates of ten minutes, about 200 requests a second, 10 s a step.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.cluster import Cluster, EngineProfile, RouterProfile, Served
from simulator.fluid import fluid_cluster
from simulator.histogram import Histogram
from simulator.traces import RateTrace, Trace, read
from simulator.traces.chunk import CHUNK_REQUESTS, Chunk

REPOSITORY = Path(__file__).resolve().parent.parent
STEP_SECONDS = 10.0
PREFILL_LOAD = 0.35
"""Share of each worker's time spent on prompts: about what the SLO allows for conversations."""
FORTNIGHT_INTERVALS, FORTNIGHT_RATE, FORTNIGHT_WORKERS = 2016, 200.0, 400
SEED = 1


@dataclass(frozen=True)
class Figures:
    """One run. `digest` is over all totals and histograms."""

    name: str
    requests: int
    seconds: float
    peak_mib: float
    attainment: float
    cache_hit_rate: float
    digest: str


def azure_like(requests: int, per_second: float) -> Trace:
    """Conversations without shared prefixes."""
    intervals = max(int(requests / per_second / 600), 1)
    ones = np.ones(intervals)
    rate = requests / intervals / 600
    return RateTrace(
        "azure-like", np.arange(intervals, dtype=np.float64) * 600.0, rate * ones, 1155 * ones, 211 * ones
    ).arrivals(SEED)


def mooncake_like(requests: int, per_second: float) -> Trace:
    """Conversations of a few turns: 24 blocks a prompt on average, the first common to all, the next to the turns."""

    def chunks() -> Iterator[Chunk]:
        random = np.random.default_rng(SEED)
        now = 0.0
        for start in range(0, requests, CHUNK_REQUESTS):
            arrival = now + np.cumsum(random.exponential(1 / per_second, CHUNK_REQUESTS))
            now = float(arrival[-1])
            yield _conversations(random, arrival[: requests - start], start)

    return Trace("mooncake-like", 512, chunks)


def _conversations(random: np.random.Generator, arrival: NDArray[np.float64], start: int) -> Chunk:
    """A hundred conversations at a time, each known up to some block; what follows was never seen before."""
    count = len(arrival)
    whole = np.clip(random.lognormal(np.log(24) - 0.25, 0.7, count), 1, 56).astype(np.int64)
    known = random.integers(1, 24, count)
    talk = (start + np.arange(count)) // 2000 * 100 + random.integers(0, 100, count)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(whole)])
    depth = np.arange(offsets[-1]) - np.repeat(offsets[:-1], whole)
    alone = np.repeat(10**7 + start + np.arange(count), whole)
    owner = np.where(depth < np.repeat(known, whole), np.repeat(talk, whole), alone)
    blocks = np.where(depth == 0, 0, owner * 100 + depth)
    output = np.maximum(random.lognormal(np.log(342) - 0.25, 0.7, count), 1).astype(np.int64)
    return Chunk(arrival, whole * 512 + 200, output, blocks, offsets, whole)


def from_file(path: str, requests: int, workers: int) -> Trace:
    """A trace file, scaled to the load of so many workers and repeated."""
    trace = read(Path(path))
    trace = trace.arrivals(SEED) if isinstance(trace, RateTrace) else trace
    count, tokens, last = 0, 0, 0.0
    for chunk in trace.chunks():
        count, tokens, last = count + len(chunk), tokens + int(chunk.prompt.sum()), float(chunk.arrival[-1])
    rate = EngineProfile().rates.prefill_tokens_per_second * PREFILL_LOAD * workers / (tokens / max(last, 1))
    return trace.looped(int(requests / count / rate) + 1).scaled(rate=rate, seed=SEED).limited(requests=requests)


def workload(name: str, requests: int, workers: int) -> Trace:
    """The trace of this name: one of the two that are made, or a file's."""
    tokens_per_second = EngineProfile().rates.prefill_tokens_per_second * PREFILL_LOAD * workers
    if name == "azure-like":
        return azure_like(requests, tokens_per_second / 1155)
    if name == "mooncake-like":
        return mooncake_like(requests, tokens_per_second / (24 * 512))
    return from_file(name, requests, workers)


def fortnight() -> RateTrace:
    """Days and nights with some noise; sizes differ from interval to interval."""
    random = np.random.default_rng(SEED)
    starts = np.arange(FORTNIGHT_INTERVALS, dtype=np.float64) * 600.0
    day = 1 + 0.6 * np.sin(starts * 2 * np.pi / 86_400)
    noise = random.uniform(0.9, 1.1, (3, FORTNIGHT_INTERVALS))
    return RateTrace("fortnight", starts, FORTNIGHT_RATE * day * noise[0], 1155 * noise[1], 211 * noise[2])


def play(cluster: Cluster, workers: int) -> Served:
    """Serve the whole trace with a fixed fleet."""
    for _ in range(workers):
        cluster.join()
    now = 0.0
    while not cluster.exhausted:
        now += STEP_SECONDS
        cluster.advance(now)
    return cluster.served()


def digest(served: Served) -> str:
    """One text for all totals and histograms."""
    counts = [histogram.counts.tobytes() for histogram in (served.ttft, served.itl, served.e2e)]
    totals = replace(served, ttft=Histogram.empty(), itl=Histogram.empty(), e2e=Histogram.empty())
    return blake2b(b"|".join([repr(totals).encode(), *counts]), digest_size=8).hexdigest()


def measure(name: str, requests: int, workers: int) -> Figures:
    """Play one workload in this process."""
    if name == "fluid":
        router = RouterProfile(max_concurrent_requests=10**6)
        started = time.perf_counter()
        served = play(fluid_cluster(fortnight(), EngineProfile(), router=router), FORTNIGHT_WORKERS)
    else:
        from simulator.event import event_cluster  # noqa: PLC0415  (the fluid mode does without numba)

        play(event_cluster(workload(name, 10, 1), EngineProfile()), 1)  # machine code is loaded, or made
        trace = workload(name, requests, workers)
        started = time.perf_counter()
        served = play(event_cluster(trace, EngineProfile()), workers)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown = Path(name).name
    return Figures(shown, served.requests, seconds, peak, served.attainment, served.cache_hit_rate, digest(served))


def alone(arguments: list[str], environment: dict[str, str] | None = None) -> str:
    """What this program prints in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    variables = os.environ | {"PYTHONPATH": str(REPOSITORY)} | (environment or {})
    return subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout


def figures(name: str, requests: int, workers: int) -> Figures:
    """As `measure`, in a process of its own."""
    return Figures(**json.loads(alone(["--one", name, "--requests", str(requests), "--workers", str(workers)])))


def compile_seconds() -> float:
    """CPU time of the first simulation of all, with an empty cache, less that of the second."""
    with tempfile.TemporaryDirectory() as folder:
        times = [0.0]
        for _ in range(2):
            alone(["--one", "azure-like", "--requests", "10", "--workers", "1"], {"NUMBA_CACHE_DIR": folder})
            times.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime)
    return times[1] - (times[2] - times[1])


def table(runs: list[Figures]) -> str:
    """The figures as a Markdown table."""
    head = "| workload | requests | seconds | requests/s | peak memory | attainment | cache hits | digest |"
    rows = [
        f"| {run.name} | {run.requests:,} | {run.seconds:.1f} | {run.requests / run.seconds:,.0f} "
        f"| {run.peak_mib:.0f} MiB | {run.attainment:.3f} | {run.cache_hit_rate:.2f} | {run.digest} |"
        for run in runs
    ]
    return "\n".join([head, "|" + "---|" * 8, *rows])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", nargs="+", default=["azure-like", "mooncake-like"])
    parser.add_argument("--requests", type=int, default=250_000)
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measure and print; exit 1 when the same seed gave different bytes."""
    options = arguments()
    if options.one:
        print(json.dumps(asdict(measure(options.one, options.requests, options.workers))))
        return 0
    compiled = compile_seconds()
    sizes = (options.requests, options.requests, 8 * options.requests)
    runs = [figures(name, requests, options.workers) for name in options.trace for requests in sizes]
    runs += [figures("fluid", 0, 0) for _ in range(2)]
    same = all(first.digest == second.digest for first, second in zip(runs[::3], runs[1::3], strict=True))
    if options.json:
        print(json.dumps({"compile_seconds": compiled, "same_bytes": same, "runs": [asdict(run) for run in runs]}))
    else:
        print(
            f"{table(runs)}\n\ncompile time {compiled:.1f} s of CPU; same seed, same bytes: {'yes' if same else 'NO'}"
        )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
