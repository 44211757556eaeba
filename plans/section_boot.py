"""Boot: predicted seconds from launch to first token on each load path, and what hosts have logged beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from plans.change import Json
from plans.model_size import model_size
from plans.sections import PlainSection, Table
from settings.boots.advice import Advice, advise
from settings.boots.measured import Compared, PhaseLogged, compare
from settings.boots.paths import LoadPath
from settings.boots.phases import PHASES, Boot
from settings.boots.predict import logged_path, predict
from settings.workers import WorkerPool

PATH_COLUMNS = ("pool", "predicted seconds by load path", "first token", "routed")
PHASE_COLUMNS = ("pool", "predicted seconds by phase", "now", "best")
MEASURED_COLUMNS = ("pool", "seconds after the kernel's start", "predicted", "measured", "off", "boots")
TEXTS = 2  # columns that hold no figure


@dataclass(frozen=True)
class Logged:
    """What agents logged, by pool, and why something could not be read."""

    phases: Mapping[str, tuple[PhaseLogged, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pool:
    name: str
    advice: Advice
    compared: tuple[Compared, ...]

    @property
    def is_measured(self) -> bool:
        return any(one.measured is not None for one in self.compared)


def boot_section(pools: Sequence[WorkerPool], logged: Logged) -> PlainSection:
    """Return the section; seconds throughout. A pool whose model's size is not known has no prediction."""
    known = [made for pool in pools if (made := _pool(pool, logged)) is not None]
    names = {one.name for one in known}
    unknown = [_unknown(pool) for pool in pools if pool.name not in names]
    lines = (*(f"pool {one.name}: {one.advice.sentence}" for one in known), *unknown, *logged.notes)
    tables = (
        _table(PATH_COLUMNS, (row for one in known for row in _path_rows(one))),
        _table(PHASE_COLUMNS, (row for one in known for row in _phase_rows(one))),
        _table(MEASURED_COLUMNS, (row for one in known if one.is_measured for row in _measured_rows(one))),
    )
    data: dict[str, Json] = {"pools": [_data(one) for one in known], "notes": list(logged.notes)}
    return PlainSection("Boot", lines, tuple(table for table in tables if table.rows), data=data)


def _pool(pool: WorkerPool, logged: Logged) -> _Pool | None:
    size = model_size(pool)
    if size is None:
        return None
    last = predict(pool, size, logged_path(pool))
    return _Pool(pool.name, advise(pool, size), compare(last, logged.phases.get(pool.name, ())))


def _unknown(pool: WorkerPool) -> str:
    known_by = f"`fleet facts {pool.model_id} --add` reads it"
    return f"pool {pool.name}: no prediction, the size of {pool.model_id} is not known here; {known_by}"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    return Table(columns, tuple(rows), frozenset(range(TEXTS, len(columns))))


def _path_rows(pool: _Pool) -> list[tuple[str, ...]]:
    return [
        (pool.name, _path(pool.advice, boot), f"{boot.to_first_token:.0f}", f"{boot.to_routable:.0f}")
        for boot in pool.advice.every
    ]


def _phase_rows(pool: _Pool) -> list[tuple[str, ...]]:
    now, best = pool.advice.now, pool.advice.best
    return [(pool.name, name, f"{now.seconds(name):.0f}", f"{best.seconds(name):.0f}") for name in PHASES]


def _path(advice: Advice, boot: Boot) -> str:
    marks = [mark for mark, one in (("now", advice.now), ("best", advice.best)) if one.path == boot.path]
    return f"{boot.path} ({', '.join(marks)})" if marks else boot.path


def _measured_rows(pool: _Pool) -> list[tuple[str, ...]]:
    return [
        (
            pool.name,
            one.phase,
            f"{one.predicted:.3g}",
            "" if one.measured is None else f"{one.measured:.3g}",
            "" if one.error is None else f"{one.error:+.0%}",
            str(one.boots),
        )
        for one in pool.compared
    ]


def _data(pool: _Pool) -> Json:
    advice = pool.advice
    return {
        "pool": pool.name,
        "now": advice.now.path,
        "best": advice.best.path,
        "remarks": list(advice.remarks),
        "paths": [_boot(boot) for boot in advice.every],
        "measured": [asdict(one) for one in pool.compared] if pool.is_measured else None,
    }


def _boot(boot: Boot) -> Json:
    """One path with every step and where its seconds come from."""
    return {
        "path": boot.path,
        "deployable": boot.path not in {LoadPath.S3, LoadPath.INSTANCE_STORE},
        "seconds_to_first_token": round(boot.to_first_token, 1),
        "seconds_to_routable": round(boot.to_routable, 1),
        "phases": [
            {"phase": phase.name, "seconds": round(phase.seconds, 1), "steps": [asdict(step) for step in phase.steps]}
            for phase in boot.phases
        ],
        "notes": list(boot.notes),
    }
