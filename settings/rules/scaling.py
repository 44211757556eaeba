"""Rules about how pools scale."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from settings.errors import Fault, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.model import Settings
    from settings.scaling import ScheduleSettings
    from settings.workers import WorkerPool

# SGLang lets running requests fill the KV memory and queues the others: a usage of up to half says nothing.
_LOWEST_KV_USAGE = 50


def kv_usage(settings: Settings) -> Iterator[Fault]:
    """A KV usage that every busy engine has would keep adding workers."""
    for index, pool in enumerate(settings.workers):
        given = pool.scaling.kv_usage_high_percent
        if 0 < given < _LOWEST_KV_USAGE:
            rule = "is what a worker has in normal use, so the pool would keep growing"
            remedy = f"use {_LOWEST_KV_USAGE} to 100, or 0 to switch it off"
            yield Fault(f"workers[{index}].scaling.kv_usage_high_percent", given, rule, remedy)


def token_limit(settings: Settings) -> Iterator[Fault]:
    """A limit that decoding alone fills leaves no room for any prompt, and the pool would grow to its maximum."""
    for index, pool in enumerate(settings.workers):
        alone, limit = pool.scaling.token_seconds, pool.scaling.token_limit_seconds
        if limit <= alone:
            rule = f"is not above token_seconds {alone:g}, so no prompt would be bearable"
            yield Fault(f"workers[{index}].scaling.token_limit_seconds", limit, rule, "raise token_limit_seconds")


def time_zones(settings: Settings) -> Iterator[Fault]:
    """Time zones exist, as far as this system knows time zones at all."""
    known = available_timezones()
    for path, schedule in _all_schedules(settings):
        if known and schedule.time_zone not in known:
            near = did_you_mean(schedule.time_zone, sorted(known))
            remedy = f"did you mean {near}?" if near else "use a name like Europe/Berlin or UTC"
            yield Fault(f"{path}.time_zone", schedule.time_zone, "is not a time zone", remedy)


def schedules(settings: Settings) -> Iterator[Fault]:
    """Schedules have names of their own, keep min_size ≤ max_size, and never come alone."""
    for index, pool in enumerate(settings.workers):
        path = f"workers[{index}].scaling.schedules"
        yield from _names(path, pool.scaling.schedules)
        if len(pool.scaling.schedules) == 1:
            remedy = "add a second one that sets the limits back"
            yield Fault(
                path, pool.scaling.schedules[0].name, "is the only one, so what it sets would never end", remedy
            )
    for path, schedule in _all_schedules(settings):
        yield from _limits(path, schedule, _pool_of(settings, path))


def _names(path: str, given: tuple[ScheduleSettings, ...]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, schedule in enumerate(given):
        earlier = first.setdefault(schedule.name, index)
        if earlier != index:
            rule = f"is the name of schedules[{earlier}] too"
            yield Fault(f"{path}[{index}].name", schedule.name, rule, "give each schedule its own name")


def _limits(path: str, schedule: ScheduleSettings, pool: WorkerPool) -> Iterator[Fault]:
    most = pool.max_size if schedule.max_size is None else schedule.max_size
    if schedule.min_size > most:
        name = "the pool's max_size" if schedule.max_size is None else "max_size"
        remedy = "lower it or raise max_size"
        involved = (f"{path}.max_size", f"{path.partition('.')[0]}.max_size")
        yield Fault(f"{path}.min_size", schedule.min_size, f"is above {name} {most}", remedy, involved)


def _all_schedules(settings: Settings) -> Iterator[tuple[str, ScheduleSettings]]:
    for index, pool in enumerate(settings.workers):
        for position, schedule in enumerate(pool.scaling.schedules):
            yield f"workers[{index}].scaling.schedules[{position}]", schedule


def _pool_of(settings: Settings, path: str) -> WorkerPool:
    return settings.workers[int(path[len("workers[") : path.index("]")])]
