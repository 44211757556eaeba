"""What others have measured, beside what this arithmetic gives for it. docs/boot.md shows the table, a test holds it.

A row is `TAKEN` where a constant was read off it (then it shows only that the arithmetic gives it back), `PREDICTED`
where it follows from the catalogue and from constants of other rows, and `NOT` where it cannot be computed; `how` then
says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from settings.boots import constants as known
from settings.boots.constants import ASSUMPTION, GB
from settings.boots.rates import ebs_rate, s3_rate, seconds_for
from settings.catalogue import catalogue

TOLERANCE: Final = 0.25
"""Acceptance: predictions of published measurements are within a quarter of them."""

# Sizes of the weights in bytes: parameters of the model card times 2 (bfloat16).
LLAMA_3_8B: Final = 8_030_000_000 * 2
QWEN3_8B: Final = 8_190_000_000 * 2
QWEN3_32B: Final = 32_760_000_000 * 2
LLAMA_2_70B: Final = 69_000_000_000 * 2

MODAL: Final = "modal.com, as told by byteiota.com"
SERVERLESS_NVME_RATE: Final = 29_000.0  # MB/s, of the machine of that benchmark


class Kind(StrEnum):
    """What the comparison is worth."""

    TAKEN = "a constant is taken from it"
    PREDICTED = "predicted"
    NOT = "cannot"


@dataclass(frozen=True)
class Published:
    """One published time in seconds (None: only a share was), ours (None: cannot), how it is made or why it is not."""

    name: str
    measured: float | None
    ours: float | None
    kind: Kind
    how: str
    source: str

    @property
    def error(self) -> float | None:
        """Ours against the measured one, as a share of it."""
        return None if self.ours is None or self.measured is None else self.ours / self.measured - 1


def published() -> tuple[Published, ...]:
    """Return every measurement of the list, in the order of its sources."""
    parts = (_ec2(), _sagemaker(), _streamer(), _serverless_llm(), _vllm(), _sglang(), _elsewhere())
    return tuple(row for part in parts for row in part)


def _cannot(name: str, measured: float | None, why: str, source: str) -> Published:
    return Published(name, measured, None, Kind.NOT, why, source)


def _ec2() -> Iterator[Published]:
    cold = known.API_SECONDS.value + known.PENDING_SECONDS.value + known.GUEST_SECONDS.value
    yield Published("EC2 cold launch to log-in", 25.8, cold, Kind.TAKEN, "4.8 + 17.8 + 3.2", known.COLD_BOOT)
    stopped = known.STOPPED_SECONDS.value
    yield Published("EC2 start from Stopped", 21.2, stopped, Kind.TAKEN, "as published", known.STOPPED_BOOT)
    lazy = seconds_for(15 * GB, known.LAZY_RATE.value)
    source = "aws-samples/bottlerocket-images-cache issue 13"
    yield Published("15 GB read lazily from a snapshot", 600, lazy, Kind.TAKEN, "15 GB at 25 MB/s", source)
    why = "their own streaming of the root volume and a host that is resized; EC2 as such does not do it"
    yield _cannot("EC2 boot, depot.dev", 5, why, "depot.dev/blog/faster-ec2-boot-time")


def _sagemaker() -> Iterator[Published]:
    base = known.SAGEMAKER_SECONDS
    yield Published("SageMaker, no weights, image cached", 134, base.value, Kind.TAKEN, "as published", base.source)
    qwen = _download("g6.2xlarge", QWEN3_8B)
    how = "16.4 GB at g6.2xlarge's EBS baseline (250 MB/s)"
    yield Published("SageMaker Qwen3-8B, weights, image cached", 77, qwen, Kind.PREDICTED, how, known.SAGEMAKER)
    cases = (
        ("Qwen3-8B on g6.2xlarge", "g6.2xlarge", QWEN3_8B, 17.7, 525, 258),
        ("customer 2, 5.8 GB on g5.2xlarge", "g5.2xlarge", 5.8 * GB, 17.5, 346, 164),
        ("customer 3, 6.5 GB on g5.xlarge", "g5.xlarge", 6.5 * GB, 10.6, 346, 216),
    )
    for name, instance_type, size, image, before, after in cases:
        cached = base.value + _download(instance_type, size)
        how = "134 s + weights at the type's EBS baseline"
        yield Published(f"SageMaker {name}, cached", after, cached, Kind.PREDICTED, how, known.SAGEMAKER)
        yield _pulled(f"SageMaker {name}, not cached", before, size, image)
    yield _pulled("SageMaker, no weights, g4dn.xlarge, not cached", 381, 0, 15.7)
    pull = seconds_for(17.7 * GB + QWEN3_8B, known.CONTAINER_RATE.value)
    how = "image and weights share 95 MB/s"
    yield Published("SageMaker Qwen3-8B, image pull", 333, pull, Kind.TAKEN, how, known.CONTAINER_RATE.source)
    why = "how image and weights share the line is not published; both together are the row above"
    yield _cannot("SageMaker Qwen3-8B, weights beside the image pull", 168, why, known.SAGEMAKER)


def _download(instance_type: str, size: float) -> float:
    """Weights that a host writes to its disk: EBS gives its baseline when the burst is not the writer's to use."""
    return seconds_for(size, catalogue().instances[instance_type].ebs_mb_s)


def _pulled(name: str, measured: float, size: float, image_gb: float) -> Published:
    total = known.SAGEMAKER_SECONDS.value + seconds_for(image_gb * GB + size, known.CONTAINER_RATE.value)
    how = f"134 s + (image {image_gb} GB + weights) at 95 MB/s"
    return Published(name, measured, total, Kind.TAKEN, how, known.CONTAINER_RATE.source)


def _streamer() -> Iterator[Published]:
    host, size, rest = catalogue().instances["g5.12xlarge"], LLAMA_3_8B, known.VLLM_REST_SECONDS.value
    mapped = seconds_for(size, known.MAPPED_EBS_RATE.value)
    gp3, io2 = seconds_for(size, ebs_rate(host, size, 1000)), seconds_for(size, ebs_rate(host, size))
    s3 = seconds_for(size, s3_rate(host))
    rows = (
        ("default loader, gp3", 48.0, 66.1, mapped, Kind.TAKEN, "340 MB/s, one reader"),
        ("default loader, io2", 47.0, 62.7, mapped, Kind.TAKEN, "340 MB/s, one reader"),
        ("streamer, gp3", 14.3, 35.1, gp3, Kind.PREDICTED, "the volume's 1000 MiB/s"),
        ("streamer, io2", 7.5, 28.3, io2, Kind.PREDICTED, "g5.12xlarge's EBS limit, 2000 MB/s"),
        ("streamer, S3", 4.9, 23.2, s3, Kind.TAKEN, "three quarters of 40 Gbit/s"),
    )
    for name, load, ready, ours, kind, how in rows:
        yield Published(f"Llama-3-8B load, {name}", load, ours, kind, how, known.STREAMER)
        whole = f"{ours:.1f} s + {rest:g} s of vLLM 0.5.5"
        yield Published(f"Llama-3-8B ready, {name}", ready, ours + rest, kind, whole, known.VLLM_REST_SECONDS.source)
    yield _cannot("Llama-3-8B load, tensorizer, S3", 37.4, "a loader that SGLang does not have", known.STREAMER)


def _serverless_llm() -> Iterator[Published]:
    fast = SERVERLESS_NVME_RATE * known.NVME_SHARE.value
    for name, size, slow, quick in (("Qwen3-32B", QWEN3_32B, 20.6, 3.2), ("Qwen3-8B", QWEN3_8B, 4.4, 0.68)):
        mapped = seconds_for(size, known.MAPPED_NVME_RATE.value)
        yield Published(f"{name} from NVMe, default", slow, mapped, Kind.TAKEN, "3.4 GB/s", known.SERVERLESS_LLM)
        ours = seconds_for(size, fast)
        how = "78 % of 29 GB/s"
        yield Published(f"{name} from NVMe, ServerlessLLM", quick, ours, Kind.TAKEN, how, known.SERVERLESS_LLM)
    cached = seconds_for(QWEN3_32B, known.MAPPED_CACHED_RATE.value)
    yield Published(
        "Qwen3-32B from the page cache, default", 12.5, cached, Kind.TAKEN, "5.2 GB/s", known.SERVERLESS_LLM
    )
    pcie = seconds_for(QWEN3_32B, known.PCIE_RATE.value)
    name = "Qwen3-32B from host memory, ServerlessLLM"
    yield Published(name, 1.25, pcie, Kind.TAKEN, "PCIe 5.0 x16, 52 GB/s", known.SERVERLESS_LLM)


def _vllm() -> Iterator[Published]:
    graphs = 67 * 80 * known.DENSE_GRAPH_SECONDS.value
    yield Published("Llama-70B FP8, CUDA graphs", 60, graphs, Kind.TAKEN, "67 graphs of 80 layers", known.VLLM_START)
    source, own = known.VLLM_START, "a step of vLLM that SGLang does not have (torch.compile is off by default)"
    yield _cannot("Llama-70B FP8, P2P check", 60, own, source)
    yield _cannot("Llama-70B FP8, dynamo", 15, own, source)
    yield _cannot("Llama-70B FP8, torch.compile", 70, own, source)
    why = (
        "how eight readers share the host's memory is not published: 13.5 s one after the other, 1.7 s all at once, "
        "at the 5.2 GB/s of one reader"
    )
    yield _cannot("Llama-70B FP8, weights from the page cache", 10, why, source)


def _sglang() -> Iterator[Published]:
    source = known.SGLANG_START
    besides = known.START_SECONDS.value + known.DISTRIBUTED_SECONDS.value + known.KV_SECONDS.value
    besides += known.JIT_SECONDS.value + known.WARM_UP_SECONDS.value
    graphs = 12 * 94 * known.MOE_GRAPH_SECONDS.value
    weights = 306
    how = "its own 306 s of weights + 17.3 + 4.7 + 0.5 + 23.1 + 3.4 + graphs"
    yield Published("SGLang Qwen3-235B FP8, restart", 390, weights + besides + graphs, Kind.TAKEN, how, source)
    yield Published("SGLang Qwen3-235B FP8, graphs", 34.9, graphs, Kind.TAKEN, "12 graphs of 94 layers", source)
    why = "the disk is not named (235 GB in 306 to 327 s are 0.72 to 0.77 GB/s)"
    yield _cannot("SGLang Qwen3-235B FP8, weights from disk", 306, why, source)


def _elsewhere() -> Iterator[Published]:
    s3 = seconds_for(LLAMA_2_70B, known.S3_HOST_RATE.value)
    source = known.S3_HOST_RATE.source
    yield Published("Llama-2-70B, S3 to the GPUs of a p4de", 20, s3, Kind.TAKEN, "7 GB/s from S3", source)
    yield _cannot("Llama-2-70B on a p4de, before", 265, "what the time was made of is not told", source)
    lazy = "the rate of Modal's file system is not published, and EC2 has neither it nor its snapshots of GPU memory"
    for name, before, after in (("vLLM, 1 GiB", 95.7, 13.8), ("SGLang, 1 GiB", 83.7, 17.5)):
        yield _cannot(f"Modal {name}", before, lazy, MODAL)
        yield _cannot(f"Modal {name}, from a snapshot", after, lazy, MODAL)
    blog = "logeshumapathi.com, 2026-05-17"
    yield _cannot("Qwen3.6-27B FP8 on Modal, A100", 460, lazy, blog)
    yield _cannot("Qwen3.6-27B FP8 on Modal, from a snapshot", 70, lazy, blog)
    shares = "only shares are published (56 % and 30 %), no seconds"
    yield _cannot("SageMaker container caching of 2024", None, shares, "chaitime.blog copy of the announcement")


ASSUMED: Final = tuple(constant for constant in known.CONSTANTS if ASSUMPTION in constant.source)
"""The constants that nobody published: what a measurement on real hosts should replace first."""
