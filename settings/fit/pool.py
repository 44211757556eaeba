"""One line about a pool: what its workers hold, or why nothing is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settings.catalogue import catalogue
from settings.fit.budget import Fit, fit_of
from settings.fit.known_models import known_facts
from settings.fit.report import holds

if TYPE_CHECKING:
    from settings.workers import WorkerPool


def pool_fit(pool: WorkerPool) -> Fit | None:
    """Return the arithmetic of a pool on its own instance type, or None for a model or type that is not known."""
    facts, instance = known_facts(pool.model_id), catalogue().instances.get(pool.instance_type)
    if facts is None or instance is None or pool.engine.get("device") == "cpu":
        return None
    return fit_of(facts, instance, pool.engine)


def pool_note(pool: WorkerPool) -> str:
    """Return what a worker of a pool holds, or that there is no verdict and how to get one."""
    fit = pool_fit(pool)
    if fit is not None:
        return holds(fit)
    if pool.engine.get("device") == "cpu":
        return "no fit verdict: the engine runs on the CPU"
    known_by = f"`fleet facts {pool.model_id} --add` reads them"
    return f"no fit verdict: the facts of {pool.model_id} are not known here; {known_by}"
