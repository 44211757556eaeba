"""Bytes that a model keeps of each token and of each request (the KV cache)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from settings.fit.facts import Cache, ModelFacts
from settings.fit.weights import Split

# Bytes of one cached number. The block formats have an 8-bit scale for so many numbers: 32 (MXFP8), 16 (NVFP4).
BYTES: Mapping[str, float] = MappingProxyType(
    {
        "float32": 4,
        "bfloat16": 2,
        "bf16": 2,
        "float16": 2,
        "fp8_e4m3": 1,
        "fp8_e5m2": 1,
        "mxfp8": 1 + 1 / 32,
        "nvfp4": 0.5 + 1 / 16,
        "fp4_mx_block16": 0.5 + 1 / 16,
    }
)
_SWA_RATIO = 0.8
"""SGLang's default of --swa-full-tokens-ratio: tokens that its pool for windows holds, for each of the full pool's."""


def number_bytes(facts: ModelFacts, kv_cache_dtype: str = "auto") -> float:
    """Bytes of one cached number; `auto` is the model's own type."""
    return BYTES.get(kv_cache_dtype, facts.dtype_bytes)


def layer_bytes(cache: Cache, size: float, attention_gpus: int) -> float:
    """Bytes that one token takes in a group of layers, on one GPU.

    Grouped heads: 2 · layers · heads · width · size with heads split over the GPUs, one at least on each; latent:
    layers · (rank + rope) · size on every GPU, for it cannot be split (DeepSeek-V2, arXiv 2405.04434, section 2.1).
    """
    if cache.kind == "state":
        return 0.0
    heads = 1 if cache.kind == "latent" else max(cache.heads // attention_gpus, 1)
    return cache.layers * (heads * cache.elements * size + cache.plain_bytes)


def token_bytes(facts: ModelFacts, kv_cache_dtype: str = "auto") -> float:
    """Bytes of one token in all layers and heads, which is the figure that model makers publish."""
    return sum(layer_bytes(cache, number_bytes(facts, kv_cache_dtype), 1) for cache in facts.caches)


def beyond_window_bytes(facts: ModelFacts, kv_cache_dtype: str = "auto") -> float:
    """Bytes of one more token of a request that is longer than the windows."""
    size = number_bytes(facts, kv_cache_dtype)
    return sum(layer_bytes(cache, size, 1) for cache in facts.caches if cache.kind != "window")


def pool_token_bytes(facts: ModelFacts, split: Split, kv_cache_dtype: str = "auto", ratio: float = _SWA_RATIO) -> float:
    """Bytes on one GPU for each token that SGLang's pool is made for.

    Where SGLang frees what has left a window, the windows' pool is smaller by its ratio; everywhere else all layers
    keep all tokens (model_executor/pool_configurator.py of 0.5.23).
    """
    size, gpus = number_bytes(facts, kv_cache_dtype), max(split.tensor // split.attention_groups, 1)
    total = 0.0
    for cache in facts.caches:
        share = ratio if facts.evicts_windows and cache.kind == "window" else 1.0
        total += layer_bytes(cache, size, gpus) * share
    return total / split.pipeline


def request_bytes(facts: ModelFacts, split: Split) -> float:
    """Bytes on one GPU that a request takes whatever its length: the states of linear and Mamba layers."""
    gpus = max(split.tensor // split.attention_groups, 1)
    states = sum(cache.layers * cache.state_bytes for cache in facts.caches)
    return states / gpus / split.pipeline
