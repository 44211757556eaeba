"""A model as an engine's arguments have it served: in another number type, or quantized while it loads."""

from __future__ import annotations

from dataclasses import replace

from settings.engine_arguments import EngineArguments
from settings.fit.facts import ModelFacts, Quantization
from settings.fit.quantization import ONLINE, quantized


def served(facts: ModelFacts, arguments: EngineArguments) -> ModelFacts:
    """Return the facts of what the GPU holds in the end."""
    if arguments.get("dtype") in ("float32", "float") and facts.quantization is None:
        size = None if facts.checkpoint_bytes is None else 2 * facts.checkpoint_bytes
        facts = replace(facts, dtype="float32", checkpoint_bytes=size)
    method = arguments.get("quantization")
    if facts.quantization is None and isinstance(method, str) and method in ONLINE:
        made = Quantization(method, ONLINE[method], ("lm_head",), scheme=method)
        return replace(facts, quantization=made, tensors=quantized(facts.tensors, made), checkpoint_bytes=None)
    return facts


def loads_unquantized(facts: ModelFacts, arguments: EngineArguments) -> bool:
    """Tell whether the whole model is on the GPU before it is quantized.

    All of these methods but bitsandbytes quantize a layer when its weights have been read, and free nothing before the
    last (the same is said of vLLM: https://docs.vllm.ai/en/latest/features/quantization/fp8.html, online quantization).
    """
    method = arguments.get("quantization")
    return facts.quantization is None and isinstance(method, str) and method in ONLINE and method != "bitsandbytes"
