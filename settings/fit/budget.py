"""Weights, cache and reserve of one engine on one instance type: the verdict, with its numbers in GiB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from settings.catalogue import GpuInstance
from settings.engine_arguments import EngineArguments
from settings.fit.facts import GIB, ModelFacts
from settings.fit.gpu import gpu_memory
from settings.fit.kv import pool_token_bytes, request_bytes
from settings.fit.reserve import Engine, before_weights_gib, engine_of, needed_gib
from settings.fit.serve import loads_unquantized, served
from settings.fit.weights import gpu_bytes

Verdict = Literal["fits", "weights", "cache", "context", "reserve"]

LEAST_TOKENS = 4096
"""Cache that a worker must have when no context_length is given, or its model's whole context if that is less:
assumption. An engine starts with less, but answers nothing that is worth a GPU."""
_STATE_RATIO, _STATE_SLOTS = 0.9, 3
"""SGLang 0.5.23: --mamba-full-memory-ratio, and state slots for each running request with its prefix cache on
(kv_cache_configurator.py, MAMBA_CACHE_SIZE_MAX_RUNNING_REQUESTS_RATIO)."""
_MOST_REQUESTS, _LEAST_LIMIT = 4096, 2048  # kv_cache_configurator.py, resolve_max_num_reqs


@dataclass(frozen=True, slots=True)
class Fit:
    """The arithmetic for one GPU of one engine; all sizes in GiB.

    `usable` is what is free before weights are read, `static` the share of it for weights and cache, `cache` what the
    weights leave, `reserve` the rest and `needed` what the engine needs of it at least. `tokens` and `requests` are
    those of a worker: tokens that the cache holds, requests of `context` tokens at once, and `most_requests` the number
    that SGLang runs at most.
    """

    instance_type: str
    gpus: int
    verdict: Verdict
    usable: float
    fraction: float
    static: float
    weights: float
    cache: float
    reserve: float
    needed: float
    token_bytes: float
    tokens: int
    context: int
    context_given: bool
    requests: int
    most_requests: int


def fit_of(facts: ModelFacts, instance: GpuInstance, arguments: EngineArguments) -> Fit:
    """Return whether a model fits an instance type with an engine's arguments, and the arithmetic of it."""
    stored, facts = facts, served(facts, arguments)
    engine = engine_of(arguments, facts, gpu_memory(instance))
    usable = before_weights_gib(engine, gpu_memory(instance))
    static, weights = usable * engine.fraction, _weights_gib(facts, engine)
    if loads_unquantized(stored, arguments) and _weights_gib(stored, engine) > usable:
        static, weights = usable, _weights_gib(stored, engine)  # what the GPU holds for a moment, while it loads
    cache = static - weights
    tokens, states = _tokens(facts, engine, max(cache, 0.0))
    context = engine.context or facts.sizes.context
    reserve, needed = usable - static, needed_gib(engine, facts, gpu_memory(instance))
    copies = engine.replicas * engine.split.attention_groups
    return Fit(
        instance_type=instance.instance_type,
        gpus=engine.gpus,
        verdict=_verdict(engine, facts, cache, tokens, reserve - needed),
        usable=usable,
        fraction=engine.fraction,
        static=static,
        weights=weights,
        cache=cache,
        reserve=reserve,
        needed=needed,
        token_bytes=pool_token_bytes(facts, engine.split, engine.kv_cache_dtype),
        tokens=tokens * copies,
        context=context,
        context_given=engine.context is not None,
        requests=tokens // context * copies,
        most_requests=_most_requests(engine, tokens, context, states) * copies,
    )


def _weights_gib(facts: ModelFacts, engine: Engine) -> float:
    size = gpu_bytes(facts, engine.split, drafts=engine.drafts) / GIB
    return max(size - engine.offload_gib, 0.0)


def _tokens(facts: ModelFacts, engine: Engine, cache: float) -> tuple[int, int | None]:
    """Return the tokens that a cache holds, and the requests whose states it has room for (None: no states)."""
    per_token = pool_token_bytes(facts, engine.split, engine.kv_cache_dtype)
    state = request_bytes(facts, engine.split)
    if not state and not per_token:  # nothing grows with a request
        return facts.sizes.context, None
    if not state:
        return int(cache * GIB // per_token), None
    share = _STATE_RATIO / (1 + _STATE_RATIO)
    slots = max(int(cache * GIB * share // state) - 1, 0)
    left = cache * GIB - (slots + 1) * state if slots else 0.0
    return (int(left // per_token) if per_token else facts.sizes.context), slots // _STATE_SLOTS


def _verdict(engine: Engine, facts: ModelFacts, cache: float, tokens: int, spare: float) -> Verdict:
    if cache <= 0:
        return "weights"
    if tokens < min(LEAST_TOKENS, engine.context or facts.sizes.context):
        return "cache"
    if engine.context is not None and tokens < engine.context:
        return "context"
    return "fits" if spare >= 0 else "reserve"


def _most_requests(engine: Engine, tokens: int, context: int, states: int | None) -> int:
    estimate = max(min(tokens * 512 // context, _MOST_REQUESTS), _LEAST_LIMIT)
    most = min(engine.max_requests or estimate, tokens // 2)
    return most if states is None else min(most, states)
