"""Rules about models and GPUs: what does not fit, and what the GPUs cannot compute with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settings.catalogue import GpuInstance, catalogue
from settings.engine_builds import engine_builds
from settings.errors import Fault
from settings.fit.budget import fit_of
from settings.fit.known_models import known_facts
from settings.fit.remedy import cheapest_remedy
from settings.fit.report import reason
from settings.fit.suits import Problem, problems_of
from settings.rules.engine import gpus_used, out_of_range
from settings.rules.workers import difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.model import Settings
    from settings.workers import WorkerPool


def models(settings: Settings) -> Iterator[Fault]:
    """Each pool's model fits its instance types, as far as the catalogue knows the model."""
    for index, pool in enumerate(settings.workers):
        if pool.engine.get("device") != "cpu" and not any(out_of_range(pool.engine)):
            for key, instance in _types_of(pool):
                yield from _faults(index, pool, key, instance)


def _types_of(pool: WorkerPool) -> Iterator[tuple[str, GpuInstance]]:
    """Yield the path and the type of each host that the pool may run on, less those that another rule refuses."""
    known = catalogue().instances
    main = known.get(pool.instance_type)
    if main is None or gpus_used(pool.engine) > main.gpu_count or not _has_code(pool, main):
        return
    yield "", main
    for position, name in enumerate(pool.spot.other_instance_types):
        other = known.get(name)
        if other and other != main and difference(main, other) is None and _has_code(pool, other):
            yield f"spot.other_instance_types[{position}]", other


def _has_code(pool: WorkerPool, instance: GpuInstance) -> bool:
    return pool.image.is_own or engine_builds().of(instance).is_current


def _faults(index: int, pool: WorkerPool, key: str, instance: GpuInstance) -> Iterator[Fault]:
    facts = known_facts(pool.model_id)
    path = f"workers[{index}]"
    involved = tuple(f"{path}.{name}" for name in ("instance_type", "model_id", "engine", "spot"))
    found = list(problems_of(facts, instance, pool.engine))
    if facts is not None and not found:
        fit = fit_of(facts, instance, pool.engine)
        if fit.verdict != "fits":
            found = [
                Problem(
                    "model_id",
                    facts.model_id,
                    reason(fit, instance),
                    cheapest_remedy(facts, instance, pool.engine, fit),
                )
            ]
    for problem in found:
        value = instance.instance_type if key else problem.value
        rule = f"cannot stand in: {problem.value!r} {problem.rule}" if key else problem.rule
        remedy = f"leave it out, or {problem.remedy}" if key else problem.remedy
        yield Fault(f"{path}.{key or problem.key}", value, rule, remedy, involved)
