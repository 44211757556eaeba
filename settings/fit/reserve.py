"""Memory beside weights and cache: what SGLang sets aside by default, and what an engine needs at least."""

from __future__ import annotations

from dataclasses import dataclass, replace

from settings.engine_arguments import EngineArguments
from settings.fit.facts import ModelFacts
from settings.fit.gpu import GpuMemory
from settings.fit.weights import Split

MIB_PER_GIB = 1024
CONTEXT_GIB = 0.45
"""CUDA's own context and libraries on each GPU. Assumption, between the 0.2 and 0.6 GiB that logs of vLLM and SGLang
show between a GPU's capacity and what is free before weights are read."""
_PER_PEER_GIB, _MOST_PEERS_GIB = 0.25, 2.0
"""NCCL and the all-reduce buffers: "Init torch distributed ends. mem usage=2.01 GB" with 8 GPUs
(https://github.com/sgl-project/sglang/pull/11716)."""

# (GPU memory in MiB below which it holds, tokens of a prefill chunk, requests of the largest decode graph with fewer
# than four tensor parallel GPUs, and with more): SGLang 0.5.23, arg_groups/memory_hook.py, handle_gpu_memory_settings.
_DEFAULTS: tuple[tuple[float, int, int, int], ...] = (
    (20 * 1024, 2048, 8, 8),
    (35 * 1024, 4096, 48, 160),
    (60 * 1024, 4096, 32, 160),
    (160 * 1024, 8192, 256, 512),
    (float("inf"), 16384, 512, 512),
)
_MANY_GPUS = 4
_LARGE_GPU_MIB = 60 * 1024
# The same function: 512 MiB for metadata, 1.5 MiB for each token of a chunk, 2 MiB for each request of a graph, 1 GiB
# for 8 GPUs, 8 MiB for each captured prefill size (1.5 GiB in all with MLA), 10 GiB at least on large GPUs.
_METADATA_MIB, _TOKEN_MIB, _REQUEST_MIB, _GPU_MIB = 512, 1.5, 2, 128
_PREFILL_SIZE_MIB, _LATENT_PREFILL_MIB, _LARGE_FLOOR_MIB = 8, 1536, 10 * 1024
_ATTENTION_GROUP_MIB, _ATTENTION_GROUP_MORE_MIB, _MANY_REQUESTS = 3, 1.5, 300
# adjust_mem_fraction_for_vlm: 5 % less for an encoder like ViT-L/14, 10 % more for each time that it is larger.
_VISION_FACTOR, _VISION_STEP, _VISION_LEAST, _VISION_MOST, _VISION_BASE = 0.95, 0.1, 0.8, 1.05, 24 * 1024**2

_RESIDUAL_COPIES, _INNER_COPIES = 4, 3
"""Buffers of the hidden and of the inner width that are alive at once in a layer: assumption (input, residual, norm,
output; gate, up and their product)."""
_WORKSPACE_MIB = 384
"""FlashInfer's workspace (SGLANG_FLASHINFER_WORKSPACE_SIZE, 384 MiB)."""
_ENCODER_SHARE = 0.05
"""An image encoder's activations: the least by which SGLang lowers its fraction for one. Measured for Qwen2.5-VL-72B on
GPUs of 40 GiB: 2.5 GiB in all (https://github.com/vllm-project/vllm/issues/16570)."""
_GRAPH_MIB = 256
"""CUDA graphs and fragments: assumption; "0.26" to "1.0 GB" in SGLang's logs of capture."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The arguments that decide about memory, with SGLang's defaults for the GPU filled in."""

    split: Split
    chunk: int
    graph_requests: int
    fraction: float
    fraction_given: bool
    kv_cache_dtype: str
    context: int | None
    max_requests: int | None
    drafts: bool
    offload_gib: float
    quantization: str | None
    dtype: str
    replicas: int = 1

    @property
    def gpus(self) -> int:
        """GPUs of one copy of the model."""
        return self.split.tensor * self.split.pipeline


def _defaults(memory: GpuMemory) -> tuple[int, int, int]:
    return next((chunk, few, many) for limit, chunk, few, many in _DEFAULTS if memory.driver_mib < limit)


def engine_of(arguments: EngineArguments, facts: ModelFacts, memory: GpuMemory) -> Engine:
    """Return the arguments that decide about memory."""
    groups = max(arguments.integer("attn_dp_size", 1), 1)
    split = Split(max(arguments.integer("tp_size", 1), 1), max(arguments.integer("pp_size", 1), 1), groups)
    chunk, few, many = _defaults(memory)
    requests = arguments.get("max_running_requests")
    limit = requests if isinstance(requests, int) and requests > 0 else None
    given_chunk = arguments.integer("chunked_prefill_size", chunk)
    graphs = min(few if split.tensor < _MANY_GPUS else many, limit or 10**6)
    graphs = arguments.integer("cuda_graph_max_bs_decode", graphs)
    given, context = arguments.get("mem_fraction_static"), arguments.get("context_length")
    has_fraction = isinstance(given, int | float) and not isinstance(given, bool)
    chunk = given_chunk if given_chunk > 0 else arguments.integer("max_prefill_tokens", 16384)
    engine = Engine(
        split=split,
        chunk=chunk,
        graph_requests=0 if arguments.get("cuda_graph_backend_decode") == "disabled" else graphs,
        fraction=float(given) if has_fraction else 0.0,  # type: ignore[arg-type]
        fraction_given=has_fraction,
        kv_cache_dtype=_text(arguments, "kv_cache_dtype", "auto"),
        context=context if isinstance(context, int) and context > 0 else None,
        max_requests=limit,
        drafts=_text(arguments, "speculative_algorithm", "").upper() in ("EAGLE", "NEXTN"),
        offload_gib=float(arguments.integer("cpu_offload_gb", 0)),
        quantization=_text(arguments, "quantization", "") or None,
        dtype=_text(arguments, "dtype", "auto"),
        replicas=1 if arguments.get("attn_dp_size") is not None else max(arguments.integer("dp_size", 1), 1),
    )
    return engine if has_fraction else replace(engine, fraction=default_fraction(engine, facts, memory))


def _text(arguments: EngineArguments, name: str, default: str) -> str:
    value = arguments.get(name)
    return value if isinstance(value, str) else default


def default_fraction(engine: Engine, facts: ModelFacts, memory: GpuMemory) -> float:
    """Return the mem_fraction_static that SGLang 0.5.23 chooses: 1 less what it reserves, as a share of the GPU."""
    reserved = (
        _METADATA_MIB + max(engine.chunk, 2048) * _TOKEN_MIB + engine.gpus * _GPU_MIB + _graphs_mib(engine, facts)
    )
    if memory.driver_mib > _LARGE_GPU_MIB:
        reserved = max(reserved, _LARGE_FLOOR_MIB)
    fraction = round((memory.driver_mib - reserved) / memory.driver_mib, 3)
    if facts.tower is None:
        return fraction
    layers, width = facts.tower
    larger = layers * width**2 / _VISION_BASE
    return fraction * _VISION_FACTOR * max(_VISION_LEAST, min(_VISION_MOST, 1 - _VISION_STEP * (larger - 1)))


def _graphs_mib(engine: Engine, facts: ModelFacts) -> float:
    groups = engine.split.attention_groups
    mib = float(engine.graph_requests * _REQUEST_MIB)
    if groups > 1:
        mib += engine.graph_requests * groups * _ATTENTION_GROUP_MIB
        mib += (
            engine.graph_requests * groups * _ATTENTION_GROUP_MORE_MIB if engine.graph_requests > _MANY_REQUESTS else 0
        )
    return mib + (_LATENT_PREFILL_MIB if facts.is_latent else prefill_sizes(engine.chunk) * _PREFILL_SIZE_MIB)


def prefill_sizes(largest: int) -> int:
    """Return how many prefill sizes SGLang captures (cuda_graph_hook.py, generate_prefill_cuda_graph_batch_sizes)."""
    steps = ((4, 33, 4), (48, 257, 16), (288, 513, 32), (576, 1025, 64), (1280, 4097, 256), (4608, largest + 1, 512))
    return sum(1 for start, stop, step in steps for size in range(start, stop, step) if size <= largest)


def before_weights_gib(engine: Engine, memory: GpuMemory) -> float:
    """Return what is free on a GPU before weights are read: the figure that mem_fraction_static is a share of."""
    peers = min(engine.gpus * _PER_PEER_GIB, _MOST_PEERS_GIB) if engine.gpus > 1 else 0.0
    return memory.usable_gib - CONTEXT_GIB - peers


def needed_gib(engine: Engine, facts: ModelFacts, memory: GpuMemory) -> float:
    """Return what an engine needs at least beside weights and cache, on one GPU, in GiB.

    Activations of one prefill chunk, logits of the largest batch, the attention kernels' workspace, CUDA graphs. It is
    less than what SGLang reserves by default: a fraction above the default may work, one that leaves less than this
    runs out of memory while it serves.
    """
    sizes, gpus = facts.sizes, engine.split.tensor
    width = _RESIDUAL_COPIES * sizes.hidden + _INNER_COPIES * sizes.intermediate / gpus
    activations = engine.chunk * width * facts.dtype_bytes / 2**20
    requests = min(max(engine.graph_requests, 1), 256)
    logits = requests * sizes.vocabulary * 4 / gpus / 2**20
    encoder = _ENCODER_SHARE * memory.usable_gib if facts.tower else 0.0
    graphs = _GRAPH_MIB + engine.graph_requests * 1.0 if engine.graph_requests else 0.0
    return (activations + logits + graphs + _WORKSPACE_MIB) / MIB_PER_GIB + encoder
