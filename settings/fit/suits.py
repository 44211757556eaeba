"""What an engine cannot do on a GPU, however much memory it has: number formats, and layers that do not divide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from settings.catalogue import GpuInstance
from settings.engine_arguments import EngineArguments
from settings.engine_catalogue import engine_catalogue
from settings.fit.facts import ModelFacts
from settings.fit.gpu import capability
from settings.fit.quantization import ONLINE

_BFLOAT16, _FP8, _SPARSE, _FP4 = 80, 89, 90, 100
# The least compute capability of each method: get_min_capability in layers/quantization of SGLang 0.5.23. FP8 needs 8.9
# by itself; from 8.0 on dense layers have a kernel that unpacks it (Marlin), experts have none
# (https://github.com/skypilot-org/skypilot/issues/4723, DeepSeek-R1 on A100).
_LEAST: Mapping[str, int] = MappingProxyType(
    {
        "awq": 75,
        "awq_marlin": 80,
        "gptq": 75,
        "gptq_marlin": 80,
        "moe_wna16": 75,
        "bitsandbytes": 75,
        "w8a8_int8": 75,
        "fp8": 80,
        "compressed-tensors": 80,
        "mxfp4": 80,
        "modelopt_fp4": 80,
        "modelopt_mixed": 80,
        "modelopt_fp8": 89,
        "w8a8_fp8": 89,
        "w4afp8": 90,
        "petit_nvfp4": 90,
        "mxfp8": 100,
        "nvfp4_online": 100,
    }
)
_CACHE: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "fp8_e4m3": (_BFLOAT16, "FP8"),
        "fp8_e5m2": (_BFLOAT16, "FP8"),
        "bf16": (_BFLOAT16, "bfloat16"),
        "bfloat16": (_BFLOAT16, "bfloat16"),
        "mxfp8": (_FP4, "MXFP8"),
        "nvfp4": (_FP4, "NVFP4"),
        "fp4_mx_block16": (_FP4, "FP4"),
    }
)
# Which values of `quantization` serve a checkpoint of each method (configs/model_config.py, _verify_quantization, and
# the override_quantization_method of each class).
_SERVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "awq": frozenset({"awq", "awq_marlin", "moe_wna16"}),
        "gptq": frozenset({"gptq", "gptq_marlin", "moe_wna16", "auto-round"}),
        "fp8": frozenset({"fp8", "modelopt_fp4", "nvfp4_online", "w4afp8", "mxfp8"}),
        "compressed-tensors": frozenset({"compressed-tensors", "w8a8_int8", "w8a8_fp8", "auto-round-int8"}),
        "modelopt_fp8": frozenset({"modelopt", "modelopt_fp8", "nvfp4_online"}),
        "modelopt_fp4": frozenset({"modelopt", "modelopt_fp4", "petit_nvfp4"}),
        "modelopt_mixed": frozenset({"modelopt", "modelopt_mixed", "modelopt_fp4"}),
        "mxfp4": frozenset({"mxfp4", "quark_mxfp4"}),
        "quark": frozenset({"quark", "quark_mxfp4", "quark_int4fp8_moe"}),
    }
)
_ALWAYS = frozenset({"humming", "unquant"})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong: the key below the pool, its value, the rule and the remedy."""

    key: str
    value: object
    rule: str
    remedy: str


def problems_of(facts: ModelFacts | None, instance: GpuInstance, arguments: EngineArguments) -> Iterator[Problem]:
    """Yield what cannot work; without facts only what the arguments and the GPU say by themselves."""
    yield from _number_types(instance, arguments)
    yield from _quantization(facts, instance, arguments)
    if facts is not None:
        yield from _sparse_attention(facts, instance)
        yield from _division(facts, instance, arguments)


def _gpu(instance: GpuInstance) -> str:
    return f"the {instance.gpu} of {instance.instance_type} (compute capability {instance.compute_capability})"


def _dotted(least: int) -> str:
    return f"{least // 10}.{least % 10}"


def _number_types(instance: GpuInstance, arguments: EngineArguments) -> Iterator[Problem]:
    has = capability(instance)
    dtype = arguments.get("dtype")
    if dtype == "bfloat16" and has < _BFLOAT16:
        rule = f"is a number type that {_gpu(instance)} lacks: it needs {_dotted(_BFLOAT16)}"
        yield Problem("engine.dtype", dtype, rule, 'set dtype = "half"')
    cache = arguments.get("kv_cache_dtype")
    least, name = _CACHE.get(str(cache), (0, ""))
    if has < least:
        rule = f"keeps the cache in {name}, which {_gpu(instance)} lacks: it needs {_dotted(least)}"
        yield Problem("engine.kv_cache_dtype", cache, rule, 'set kv_cache_dtype = "auto"')


def _quantization(facts: ModelFacts | None, instance: GpuInstance, arguments: EngineArguments) -> Iterator[Problem]:
    named = arguments.get("quantization")
    stored = facts.quantization if facts else None
    if facts and isinstance(named, str) and (mismatch := _mismatch(facts, named)):
        yield mismatch
        return
    method = named if isinstance(named, str) else stored.method if stored else ""
    least, why = _least(facts, method)
    if capability(instance) < least:
        key, value = ("engine.quantization", named) if named else ("model_id", facts.model_id if facts else "")
        rule = f"is quantized as {why}, which {_gpu(instance)} cannot compute with: it needs {_dotted(least)}"
        yield Problem(
            key, value, rule if not named else rule.replace("is quantized as", "is"), _other(method, instance)
        )


def _least(facts: ModelFacts | None, method: str) -> tuple[int, str]:
    stored = facts.quantization if facts else None
    is_fp8 = method == "fp8" or (stored is not None and stored.method == method and stored.scheme == "FP8")
    if is_fp8 and facts is not None and facts.sizes.expert_width:
        return _FP8, f"{method} with experts"
    return _LEAST.get(method, 0), method


def _other(method: str, instance: GpuInstance) -> str:
    plain = {"awq_marlin": "awq", "gptq_marlin": "gptq"}.get(method)
    if plain and capability(instance) >= _LEAST[plain]:
        return f'set quantization = "{plain}"'
    return "use a newer GPU or a model that is stored otherwise"


def _mismatch(facts: ModelFacts, named: str) -> Problem | None:
    stored = facts.quantization
    if named in _ALWAYS or (stored and named in _SERVES.get(stored.method, {stored.method})):
        return None
    if stored is None and named in ONLINE:
        return None
    holds = f"{facts.model_id} is stored as {stored.method}" if stored else f"{facts.model_id} is not quantized"
    rule = f"does not match the model: {holds}, and SGLang {engine_catalogue().version} would refuse to start"
    return Problem(
        "engine.quantization", named, rule, "leave it out" if stored else "leave it out or use a model stored so"
    )


def _sparse_attention(facts: ModelFacts, instance: GpuInstance) -> Iterator[Problem]:
    """DeepSeek's sparse attention has kernels for Hopper and Blackwell only (SGLang's pages on DeepSeek-V3.2)."""
    has_indexer = any(cache.kind == "latent" and cache.plain_bytes for cache in facts.caches)
    if has_indexer and capability(instance) < _SPARSE:
        rule = f"has an attention with an indexer, which {_gpu(instance)} cannot compute: it needs {_dotted(_SPARSE)}"
        yield Problem("model_id", facts.model_id, rule, "use a type with H100, H200, B200 or B300")


def _division(facts: ModelFacts, instance: GpuInstance, arguments: EngineArguments) -> Iterator[Problem]:
    size = max(arguments.integer("tp_size", 1), 1)
    reason = indivisible(facts, arguments, size)
    if reason is None:
        return
    good = [other for other in range(1, instance.gpu_count + 1) if indivisible(facts, arguments, other) is None]
    remedy = f"use {' or '.join(str(one) for one in good)}" if good else "use another model"
    yield Problem("engine.tp_size", size, f"does not divide {facts.model_id}: {reason}", remedy)


def indivisible(facts: ModelFacts, arguments: EngineArguments, size: int) -> str | None:
    """Return why a model cannot be spread over so many tensor parallel GPUs, or None when it can.

    Heads are given out whole, key-value heads whole or as copies, and a GPU's share of a feed-forward is a whole number
    of the blocks that the checkpoint is quantized in (SGLang 0.5.23: layers/linear.py, layers/quantization/fp8.py).
    """
    sizes = facts.sizes
    groups = max(arguments.integer("attn_dp_size", 1), 1)
    if size % groups:
        return f"{size} GPUs are not a multiple of attn_dp_size {groups}"
    attention = size // groups
    if sizes.heads % attention:
        return f"its {sizes.heads} attention heads are not a multiple of {attention}"
    if max(sizes.kv_heads, attention) % min(sizes.kv_heads, attention):
        return f"its {sizes.kv_heads} key-value heads and {attention} GPUs are not multiples of each other"
    return _widths(facts, arguments, size)


def _widths(facts: ModelFacts, arguments: EngineArguments, size: int) -> str | None:
    sizes, block = facts.sizes, facts.quantization.block if facts.quantization else 1
    experts_cut = max(size // max(arguments.integer("ep_size", 1), 1), 1)
    for width, gpus in (*((one, size) for one in sizes.divided), (sizes.expert_width, experts_cut)):
        if width % gpus:
            return f"its feed-forward of {width} is not a multiple of {gpus}"
        if width // gpus % block and gpus > 1:
            return (
                f"a GPU's share of its feed-forward, {width} / {gpus}, is not a multiple of the quantization's {block}"
            )
    return None
