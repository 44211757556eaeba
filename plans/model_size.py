"""How large models are, as the other sections need it: in bytes, by pool, from the catalogue of known models."""

from __future__ import annotations

from collections.abc import Iterable

from settings.boots.paths import ModelSize
from settings.fit.known_models import known_facts
from settings.fit.weights import weight_bytes
from settings.workers import WorkerPool


def model_bytes(model_id: str) -> int | None:
    """Return the size of a model's weights in bytes, None for one that the catalogue does not have."""
    facts = known_facts(model_id)
    return None if facts is None else round(weight_bytes(facts))


def bytes_by_pool(pools: Iterable[WorkerPool]) -> dict[str, int]:
    """Return the sizes of the models that are known."""
    sizes = {pool.name: model_bytes(pool.model_id) for pool in pools}
    return {name: size for name, size in sizes.items() if size is not None}


def model_size(pool: WorkerPool) -> ModelSize | None:
    """Return what a boot has to know of a pool's model."""
    facts = known_facts(pool.model_id)
    if facts is None:
        return None
    stored = facts.quantization
    is_fp8 = stored is not None and stored.scheme == "FP8"
    return ModelSize(round(weight_bytes(facts)), facts.sizes.layers, facts.sizes.expert_width > 0, is_fp8)
