"""Rules about SGLang's server arguments and the hosts they run on."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

from settings.catalogue import GpuInstance, catalogue
from settings.engine_builds import engine_builds, nearest
from settings.engine_catalogue import engine_catalogue
from settings.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from settings.engine_arguments import EngineArguments
    from settings.model import Settings
    from settings.workers import WorkerPool

# Bounds that SGLang checks only when it starts (srt/server_args.py), minutes after the instance does.
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "tp_size": (1, math.inf),
        "pp_size": (1, math.inf),
        "dp_size": (1, math.inf),
        "ep_size": (1, math.inf),
        "context_length": (1, math.inf),
        "max_running_requests": (1, math.inf),
        "mem_fraction_static": (0.01, 0.99),
    }
)


def ranges(settings: Settings) -> Iterator[Fault]:
    """Sizes are at least one, and a fraction of the GPU's memory is a fraction."""
    for index, pool in enumerate(settings.workers):
        for name in out_of_range(pool.engine):
            low, high = _RANGES[name]
            remedy = f"use {low:g} or more" if high == math.inf else f"use {low:g} to {high:g}"
            yield Fault(f"workers[{index}].engine.{name}", pool.engine.get(name), "is out of range", remedy)


def out_of_range(engine: EngineArguments) -> Iterator[str]:
    """Yield the arguments whose value SGLang would refuse."""
    for name, (low, high) in _RANGES.items():
        value = engine.get(name)
        if isinstance(value, int | float) and not low <= value <= high:
            yield name


def gpus_used(engine: EngineArguments) -> int:
    """Return how many GPUs one worker's engine takes: tensor by pipeline by data parallel.

    With attention data parallelism (attn_dp_size) the data-parallel groups share the tensor-parallel GPUs.
    """
    replicas = 1 if engine.get("attn_dp_size") is not None else engine.integer("dp_size", 1)
    return engine.integer("tp_size", 1) * engine.integer("pp_size", 1) * replicas


def gpus(settings: Settings) -> Iterator[Fault]:
    """No pool's engine takes more GPUs than its instance type has."""
    for index, pool in enumerate(settings.workers):
        instance = catalogue().instances.get(pool.instance_type)
        used = gpus_used(pool.engine)
        if instance is None or used <= instance.gpu_count or pool.engine.get("device") == "cpu":
            continue
        name = next(name for name in ("tp_size", "pp_size", "dp_size") if pool.engine.integer(name, 1) > 1)
        rule = f"makes the engine take {used} GPUs, and {pool.instance_type} has {instance.gpu_count}"
        involved = (f"workers[{index}].instance_type", f"workers[{index}].engine")
        value = pool.engine.get(name)
        yield Fault(f"workers[{index}].engine.{name}", value, rule, f"lower it{_larger(instance, used)}", involved)


def _larger(instance: GpuInstance, gpu_count: int) -> str:
    enough = [one for one in catalogue().instances.values() if one.gpu_count >= gpu_count]
    same_gpu = [one.instance_type for one in enough if one.gpu == instance.gpu]
    names = same_gpu or [one.instance_type for one in enough]
    return f" or use a type with {gpu_count} GPUs, like {names[0]}" if names else "; no type has that many"


def ports(settings: Settings) -> Iterator[Fault]:
    """No other port of the engine is the one that the router connects to."""
    for index, pool in enumerate(settings.workers):
        for name, value in pool.engine.values.items():
            if name.endswith("_port") and value == pool.port:
                path = f"workers[{index}].engine.{name}"
                involved = (f"workers[{index}].port",)
                yield Fault(path, value, "is the port that the router connects to", "use another port", involved)


def builds(settings: Settings) -> Iterator[Fault]:
    """The pinned release has code for each pool's GPUs; an image of the user's own brings an engine of its own."""
    for index, pool in enumerate(settings.workers):
        if not pool.image.is_own and pool.engine.get("device") != "cpu":
            for path, name in _types_of(pool):
                yield from _without_code(index, f"workers[{index}].{path}", name)


def _types_of(pool: WorkerPool) -> Iterator[tuple[str, str]]:
    """Yield the path and name of each type that the pool may run on."""
    yield "instance_type", pool.instance_type
    main = catalogue().instances.get(pool.instance_type)
    for position, name in enumerate(pool.spot.other_instance_types):
        other = catalogue().instances.get(name)
        if main and other and other.architecture == main.architecture:  # another rule refuses those with others
            yield f"spot.other_instance_types[{position}]", name


def _without_code(index: int, path: str, name: str) -> Iterator[Fault]:
    instance = catalogue().instances.get(name)
    if instance is None or engine_builds().of(instance).is_current:
        return
    build, other = engine_builds().of(instance), nearest(instance)
    rule = (
        f"has a {build.gpu} (compute capability {build.compute_capability}), for which the kernels of SGLang "
        f"{engine_catalogue().version} carry no code; {build.why_not}"
    )
    use = f"use a type like {other.instance_type} ({other.gpu}, {other.architecture}), or " if other else ""
    remedy = f"{use}set image.ami of the pool to an image with an engine of your own"
    yield Fault(path, name, rule, remedy, (f"workers[{index}].image", f"workers[{index}].engine"))
