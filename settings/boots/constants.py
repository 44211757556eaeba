"""Every number of the boot budget that is not in the catalogue of instance types, each with its source.

Rates are decimal (MB/s = 10^6 bytes a second), as AWS states instance bandwidths; what AWS states in MiB/s is turned
into bytes where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MB: Final = 1_000_000
MIB: Final = 1024**2
GB: Final = 1_000_000_000
GIB: Final = 1024**3


@dataclass(frozen=True)
class Constant:
    """One number: what it is, its unit, and where it comes from."""

    name: str
    value: float
    unit: str
    source: str


COLD_BOOT: Final = "brevdev/ec2-coldboot-research, docs/cold-baseline-results.md (m7i.large, Amazon Linux 2023)"
STOPPED_BOOT: Final = "brevdev/ec2-coldboot-research, docs/start-stopped-results.md"
STREAMER: Final = "run-ai/runai-model-streamer, docs/src/benchmarks.md (vLLM 0.5.5, Llama-3-8B, g5.12xlarge)"
SERVERLESS_LLM: Final = "ServerlessLLM, benchmarks/results/h100_2025"
SGLANG_START: Final = "lmsys.org/blog/2026-08-21-sglang-fast-recovery (SGLang, Qwen3-235B FP8, 4 x H20)"
VLLM_START: Final = "vllm-project/vllm issue 19824 (Llama-70B FP8, tensor parallel 8)"
SAGEMAKER: Final = "AWS machine learning blog of 2026-06-16, container caching in SageMaker AI"
ASSUMPTION: Final = "assumption"

# EC2 and the operating system.
API_SECONDS: Final = Constant("RunInstances answers", 4.8, "s", COLD_BOOT)
PENDING_SECONDS: Final = Constant("pending to running", 17.8, "s", COLD_BOOT)
GUEST_SECONDS: Final = Constant("kernel to log-in", 3.2, "s", COLD_BOOT)
STOPPED_SECONDS: Final = Constant("start of a stopped host, to log-in", 21.2, "s", STOPPED_BOOT)

# Reading.
LAZY_RATE: Final = Constant(
    "first read of a block of a new volume without initialization rate",
    25.0,
    "MB/s",
    "aws-samples/bottlerocket-images-cache issue 13 (15 GB from a snapshot take more than 10 minutes: an upper bound)",
)
MAPPED_EBS_RATE: Final = Constant(
    "SGLang's and vLLM's default loader (safetensors mapped into memory, one reader) from EBS",
    340.0,
    "MB/s",
    f"{STREAMER}: 16.06 GB in 48.0 s from gp3 and 47 s from io2",
)
MAPPED_NVME_RATE: Final = Constant(
    "the same loader from instance store", 3400.0, "MB/s", f"{SERVERLESS_LLM}: 65.5 GB in 20.6 s, 16.4 GB in 4.4 s"
)
MAPPED_CACHED_RATE: Final = Constant(
    "the same loader from the page cache", 5240.0, "MB/s", f"{SERVERLESS_LLM}: 65.5 GB in 12.5 s"
)
NVME_SHARE: Final = Constant(
    "share of the instance store's rate that a parallel loader reaches",
    0.78,
    "of the disks' rate",
    f"{SERVERLESS_LLM}: 65.5 GB in 3.2 s and 16.4 GB in 0.68 s at 29 GB/s",
)
PCIE_RATE: Final = Constant(
    "host memory to one GPU over PCIe 5.0 x16", 52_400.0, "MB/s", f"{SERVERLESS_LLM}: 65.5 GB in 1.25 s"
)
NVME_RATE: Final = Constant(
    "one instance store disk, sequential reads", 3000.0, "MB/s", f"{ASSUMPTION}: PCIe 4.0 x4 disks of 2 to 4 TB"
)
NVME_DISK_GB: Final = Constant("size of one instance store disk at most", 3800.0, "GB", "EC2 DescribeInstanceTypes")
NVME_WRITE_SHARE: Final = Constant("writing to instance store against reading", 0.5, "of the disks' rate", ASSUMPTION)
S3_SHARE: Final = Constant(
    "share of the network's peak that parallel readers of S3 reach",
    0.75,
    "of the peak",
    f"{STREAMER}: 16.06 GB in 4.9 s (4.24 s with version 0.6) at 40 Gbit/s",
)
S3_HOST_RATE: Final = Constant(
    "S3 to one host at most", 7000.0, "MB/s", "Anyscale, Hacker News 37871241: 138 GB into the GPUs of a p4de in 20 s"
)

# The engine.
START_SECONDS: Final = Constant("imports, server arguments, tokenizer", 17.3, "s", SGLANG_START)
DISTRIBUTED_SECONDS: Final = Constant("NCCL between GPUs", 4.7, "s", SGLANG_START)
KV_SECONDS: Final = Constant("allocation of the KV memory", 0.5, "s", SGLANG_START)
JIT_SECONDS: Final = Constant("DeepGEMM kernels for FP8", 23.1, "s", SGLANG_START)
WARM_UP_SECONDS: Final = Constant("tree cache, warm-up request", 3.4, "s", SGLANG_START)
GRAPHS: Final = Constant("CUDA graphs that SGLang captures", 12.0, "graphs", SGLANG_START)
DENSE_GRAPH_SECONDS: Final = Constant(
    "one layer of one CUDA graph, dense model", 60 / (67 * 80), "s", f"{VLLM_START}: 67 graphs of 80 layers in 60 s"
)
MOE_GRAPH_SECONDS: Final = Constant(
    "one layer of one CUDA graph, mixture of experts",
    34.9 / (12 * 94),
    "s",
    f"{SGLANG_START}: 12 graphs of 94 layers in 34.9 s",
)
ENGINE_ROOT_GIB: Final = Constant(
    "what a start reads of the root volume: system, driver, Python, CUDA libraries, kernels",
    2.0,
    "GiB",
    f"{ASSUMPTION}: of the 15 GB of the engine's environment and the system",
)
VLLM_REST_SECONDS: Final = Constant(
    "vLLM 0.5.5 besides its weights", 19.0, "s", f"{STREAMER}: mean of five times to ready less the time to load"
)
ROUTABLE_SECONDS: Final = Constant("ready to routable", 2.3, "s", "docs/adr/0006-router-settings.md, measured")

# A comparable whole elsewhere: only to reproduce what was published of it.
SAGEMAKER_SECONDS: Final = Constant(
    "SageMaker host and container that need no download", 134.0, "s", f"{SAGEMAKER}: customer 1, no weights, cached"
)
CONTAINER_RATE: Final = Constant(
    "container image and weights together, pulled by a new host",
    95.0,
    "MB/s",
    f"{SAGEMAKER}: fitted to its four times without cache",
)

CONSTANTS: Final = tuple(value for value in dict(globals()).values() if isinstance(value, Constant))
"""All of them, in the order of this file; docs/boot.md lists them."""
