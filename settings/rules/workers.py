"""Rules about pools of workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settings.catalogue import GpuInstance, catalogue, find
from settings.errors import Fault, FaultyValueError
from settings.rules.deployment import image_fits, volume_fits
from settings.rules.network import repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.model import Settings


def names(settings: Settings) -> Iterator[Fault]:
    """Each pool has a name of its own: stacks and resources are named after it."""
    first: dict[str, int] = {}
    for index, pool in enumerate(settings.workers):
        earlier = first.setdefault(pool.name, index)
        if earlier != index:
            path, other = f"workers[{index}].name", f"workers[{earlier}].name"
            yield Fault(
                path, pool.name, f"is the name of workers[{earlier}] too", "give each pool its own name", (other,)
            )


def sizes(settings: Settings) -> Iterator[Fault]:
    """min_size ≤ desired_size ≤ max_size."""
    for index, pool in enumerate(settings.workers):
        path = f"workers[{index}]"
        low, high, desired = f"{path}.min_size", f"{path}.max_size", f"{path}.desired_size"
        if pool.max_size < pool.min_size:
            rule = f"is below min_size {pool.min_size}"
            yield Fault(high, pool.max_size, rule, "raise max_size or lower min_size", (low,))
        elif pool.desired_size is not None and not pool.min_size <= pool.desired_size <= pool.max_size:
            rule = f"is not between min_size {pool.min_size} and max_size {pool.max_size}"
            yield Fault(desired, pool.desired_size, rule, "choose one between them or leave it out", (low, high))


def warm_pool(settings: Settings) -> Iterator[Fault]:
    """A warm pool has room for its hosts, and none is kept of spot capacity."""
    for index, pool in enumerate(settings.workers):
        warm, path = pool.warm_pool, f"workers[{index}].warm_pool"
        prepared = pool.max_size if warm.max_prepared is None else warm.max_prepared
        involved = (f"{path}.max_prepared", f"workers[{index}].max_size")
        if warm.min_size > prepared:
            rule = f"is above the {prepared} hosts that are prepared at most"
            yield Fault(f"{path}.min_size", warm.min_size, rule, "lower it or raise max_prepared", involved)
        if warm.max_prepared is not None and warm.max_prepared < pool.min_size:
            rule = f"is below min_size {pool.min_size}, so no host would ever be warm"
            low = f"workers[{index}].min_size"
            yield Fault(f"{path}.max_prepared", warm.max_prepared, rule, "raise it or leave it out", (low,))
        if warm.enabled and pool.spot.enabled:
            # No source says that EC2 keeps spot instances in a warm pool; until 2025 its API said that it does not.
            rule = "is set together with spot.enabled, and a warm pool cannot hold spot capacity"
            spot_path = f"workers[{index}].spot.enabled"
            yield Fault(f"{path}.enabled", True, rule, "switch one of them off", (spot_path,))  # noqa: FBT003


def spot(settings: Settings) -> Iterator[Fault]:
    """The on-demand base fits into the pool; other types can stand in for the pool's own."""
    for index, pool in enumerate(settings.workers):
        path = f"workers[{index}].spot"
        if pool.spot.on_demand_base > pool.max_size:
            rule, high = f"is above max_size {pool.max_size}", f"workers[{index}].max_size"
            yield Fault(f"{path}.on_demand_base", pool.spot.on_demand_base, rule, "lower it or raise max_size", (high,))
        yield from repeated(f"{path}.other_instance_types", pool.spot.other_instance_types)
        for position, other in enumerate(pool.spot.other_instance_types):
            yield from _stands_in(pool.instance_type, other, index, f"{path}.other_instance_types[{position}]")


def _stands_in(main_type: str, other_type: str, index: int, path: str) -> Iterator[Fault]:
    main, involved = catalogue().instances.get(main_type), (f"workers[{index}].instance_type",)
    try:
        other = find(other_type)
    except FaultyValueError as error:
        yield from (Fault(path, fault.value, fault.rule, fault.remedy) for fault in error.faults)
        return
    reason = difference(main, other) if main else None
    if reason:
        yield Fault(path, other_type, reason, "leave it out or use another type that can hold the model", involved)


def difference(main: GpuInstance, other: GpuInstance) -> str | None:
    """Return why a type cannot stand in for another one, or None when it can."""
    if other == main:
        return "is the pool's own instance_type"
    if other.architecture != main.architecture:
        return f"has {other.architecture} processors, and {main.instance_type} has {main.architecture}"
    if other.gpu_memory_mib < main.gpu_memory_mib:
        return f"has {other.gpu_memory_mib} MiB on a GPU, and {main.instance_type} has {main.gpu_memory_mib}"
    if other.gpu_count < main.gpu_count:
        return f"has {other.gpu_count} GPU(s), and {main.instance_type} has {main.gpu_count}"
    return None


def instance_types(settings: Settings) -> Iterator[Fault]:
    """Each pool runs on a type with NVIDIA GPUs that the catalogue knows."""
    for index, pool in enumerate(settings.workers):
        try:
            find(pool.instance_type)
        except FaultyValueError as error:
            path = f"workers[{index}].instance_type"
            yield from (Fault(path, fault.value, fault.rule, fault.remedy) for fault in error.faults)


def image_architecture(settings: Settings) -> Iterator[Fault]:
    """Each pool's image is built for its type's processors."""
    for index, pool in enumerate(settings.workers):
        if pool.instance_type in catalogue().instances:
            yield from image_fits(f"workers[{index}]", pool.instance_type, pool.image)


def volumes(settings: Settings) -> Iterator[Fault]:
    """Each pool's volumes keep to EBS's ratios, and a baked image has its model on a volume of its own."""
    for index, pool in enumerate(settings.workers):
        path = f"workers[{index}]"
        yield from volume_fits(f"{path}.volume", pool.volume)
        yield from volume_fits(f"{path}.model_volume", pool.model_volume)
        if not pool.model_volume.enabled and not pool.image.is_own:
            rule = "is set for a baked image, which has its model on that volume"
            remedy = f"leave it out, or set image.ami of {path} to an image that has its model on the root volume"
            yield Fault(f"{path}.model_volume.enabled", False, rule, remedy, (f"{path}.image",))  # noqa: FBT003
