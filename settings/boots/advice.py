"""Which load path suits a pool and its model: the fastest that the deployment can take, and what would be faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.boots.paths import LoadPath
from settings.boots.predict import boots, current_path, predict
from settings.engine_arguments import EngineArguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.boots.paths import ModelSize
    from settings.boots.phases import Boot
    from settings.workers import WorkerPool

DEPLOYABLE = (LoadPath.BAKED_COLD, LoadPath.BAKED_INITIALIZED, LoadPath.WARM_POOL)
"""What the stacks can set up today; the other paths are predicted to compare."""
PARALLEL = "weight_loader_prefetch_checkpoints"
WORTH_SECONDS = 10.0
"""Below this a change is not worth a sentence: one step of the scaling signal (our choice)."""


@dataclass(frozen=True)
class Advice:
    """The path that a new host takes now, the fastest that settings can choose, every path, and what to change."""

    now: Boot
    best: Boot
    every: tuple[Boot, ...]
    remarks: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        return "; ".join((f"a new worker takes about {self.now.to_routable:.0f} s ({self.now.path})", *self.remarks))


def advise(pool: WorkerPool, model: ModelSize) -> Advice:
    """Recommend a load path for a pool with this model; all figures are predictions."""
    every = boots(pool, model)
    now = predict(pool, model, current_path(pool))
    best = next(boot for boot in every if boot.path in DEPLOYABLE)
    return Advice(now, best, every, tuple(_remarks(pool, model, now, every)))


def _remarks(pool: WorkerPool, model: ModelSize, now: Boot, every: tuple[Boot, ...]) -> Iterator[str]:
    best = next(boot for boot in every if boot.path in DEPLOYABLE)
    if pool.warm_pool.enabled:
        yield f"one of the warm pool about {predict(pool, model, LoadPath.WARM_POOL).to_routable:.0f} s"
    elif now.to_routable - best.to_routable > WORTH_SECONDS:
        how = "warm_pool" if best.path == LoadPath.WARM_POOL else "model_volume"
        yield f"{best.path}: about {best.to_routable:.0f} s, with workers.{how}.enabled = true"
    yield from _parallel(pool, model, best)
    if best.to_routable - every[0].to_routable > WORTH_SECONDS:
        yield f"{every[0].path}: about {every[0].to_routable:.0f} s, which no setting does yet"


def _parallel(pool: WorkerPool, model: ModelSize, best: Boot) -> Iterator[str]:
    """What it brings to read with several threads."""
    engine = EngineArguments.read({**pool.engine.values, PARALLEL: True})
    changed = predict(pool.model_copy(update={"engine": engine}), model, LoadPath(best.path))
    if best.to_routable - changed.to_routable > WORTH_SECONDS:
        yield f"engine.{PARALLEL} = true makes that about {changed.to_routable:.0f} s"
