"""The cheapest ways to make a model fit: first what costs nothing, then the cheapest instance type."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import MappingProxyType

from settings.catalogue import GpuInstance, catalogue
from settings.engine_arguments import EngineArguments
from settings.engine_builds import engine_builds
from settings.engine_values import EngineValue
from settings.fit.budget import LEAST_TOKENS, Fit, fit_of
from settings.fit.facts import ModelFacts
from settings.fit.gpu import capability
from settings.fit.known_models import known_facts, siblings
from settings.fit.suits import indivisible, problems_of
from settings.fit.weights import weight_bytes

_FRACTIONS = tuple(hundredths / 100 for hundredths in range(70, 96))
_FP8_CACHE = 89  # from here on every attention kernel reads an FP8 cache
_STEP = 1024


def cheapest_remedy(facts: ModelFacts, instance: GpuInstance, arguments: EngineArguments, fit: Fit) -> str:
    """Return what to change: the first way on the same hosts, and the cheapest type that holds the model as it is."""
    here = [*_first(_on_these_hosts(facts, instance, arguments, fit))]
    is_a_mere_fraction = fit.verdict == "reserve" and here
    ways = here if is_a_mere_fraction else [*here, *_first(_on_other_types(facts, instance, arguments))]
    return ", or ".join(ways) if ways else "no single host of EC2 holds it; use a smaller model"


def _first(ways: Iterator[str]) -> Iterator[str]:
    yield from (way for way, _ in zip(ways, range(1), strict=False))


def changed(arguments: EngineArguments, **values: EngineValue) -> EngineArguments:
    """Return arguments with some of them replaced."""
    return EngineArguments(MappingProxyType(dict(sorted({**arguments.values, **values}.items()))))


def works(facts: ModelFacts, instance: GpuInstance, arguments: EngineArguments) -> bool:
    """Tell whether a model fits and nothing else speaks against it."""
    if any(problems_of(facts, instance, arguments)):
        return False
    fit = fit_of(facts, instance, arguments)
    return fit.verdict == "fits" and fit.gpus <= instance.gpu_count


def tensor_sizes(facts: ModelFacts, instance: GpuInstance, arguments: EngineArguments) -> Iterator[int]:
    """Yield the numbers of GPUs of a host that a model can be spread over, the smallest first."""
    for size in (1, 2, 4, 8):
        if size <= instance.gpu_count and indivisible(facts, arguments, size) is None:
            yield size


def _on_these_hosts(facts: ModelFacts, instance: GpuInstance, arguments: EngineArguments, fit: Fit) -> Iterator[str]:
    now = arguments.integer("tp_size", 1)
    for size in tensor_sizes(facts, instance, arguments):
        if size > now and works(facts, instance, changed(arguments, tp_size=size)):
            yield f"set tensor_parallel_size = {size}"
    for fraction in _FRACTIONS if fit.verdict != "reserve" else reversed(_FRACTIONS):
        if works(facts, instance, changed(arguments, mem_fraction_static=fraction)):
            yield f"set mem_fraction_static = {fraction:g}"
    if capability(instance) >= _FP8_CACHE and works(facts, instance, changed(arguments, kv_cache_dtype="fp8_e4m3")):
        yield 'set kv_cache_dtype = "fp8_e4m3"'
    yield from _shorter(facts, instance, arguments, fit)
    for other in _stored_otherwise(facts):
        if works(other, instance, _without(arguments, "quantization")):
            yield f"use the model {other.model_id}"


def _shorter(facts: ModelFacts, instance: GpuInstance, arguments: EngineArguments, fit: Fit) -> Iterator[str]:
    length = fit.tokens // _STEP * _STEP
    is_less = fit.verdict == "context" and length >= LEAST_TOKENS
    if is_less and works(facts, instance, changed(arguments, context_length=length)):
        yield f"set context_length = {length}"


def _stored_otherwise(facts: ModelFacts) -> list[ModelFacts]:
    """Return the same model in other formats, the largest first: it loses the least."""
    found = [other for name in siblings(facts.model_id) if (other := known_facts(name))]
    return sorted(found, key=lambda other: (-weight_bytes(other), other.model_id))


def _without(arguments: EngineArguments, name: str) -> EngineArguments:
    return EngineArguments(MappingProxyType({key: value for key, value in arguments.values.items() if key != name}))


def _on_other_types(facts: ModelFacts, instance: GpuInstance, arguments: EngineArguments) -> Iterator[str]:
    others = [
        other
        for other in catalogue().instances.values()
        if engine_builds().of(other).is_current and other.architecture == "x86_64" and other != instance
    ]
    for other in sorted(others, key=_price):
        for size in tensor_sizes(facts, other, arguments):
            if works(facts, other, changed(arguments, tp_size=size)):
                yield _use(other, size, arguments)
                break


def _price(instance: GpuInstance) -> float:
    return math.inf if instance.usd_per_hour is None else instance.usd_per_hour


def _use(instance: GpuInstance, size: int, arguments: EngineArguments) -> str:
    price = f" ({instance.usd_per_hour:,.2f} USD an hour)" if instance.usd_per_hour is not None else ""
    spread = f" with tensor_parallel_size = {size}" if size != arguments.integer("tp_size", 1) else ""
    return f"use {instance.instance_type}{spread}{price}"
