"""Fit: what a worker of each pool holds, and which model does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from plans.change import Json
from plans.sections import PlainSection, Problem, Table
from settings.catalogue import catalogue
from settings.fit.budget import Fit
from settings.fit.known_models import known_facts
from settings.fit.pool import pool_fit, pool_note
from settings.fit.remedy import cheapest_remedy
from settings.fit.report import reason
from settings.workers import WorkerPool

COLUMNS = ("pool", "type", "GPUs", "weights", "cache", "reserve", "needs", "tokens", "context", "such requests")
TEXTS = 2  # columns that hold no figure


def fit_section(pools: Sequence[WorkerPool]) -> PlainSection:
    """Return the section: weights, cache and reserve in GiB of one GPU; tokens and requests at once of a worker.

    A model that does not fit is a problem; one whose facts are not known has no verdict, and the section says so.
    """
    fits = [(pool, pool_fit(pool)) for pool in pools]
    known = [(pool, fit) for pool, fit in fits if fit is not None]
    unknown = [f"pool {pool.name}: {pool_note(pool)}" for pool, fit in fits if fit is None]
    problems = tuple(_problem(pool, fit) for pool, fit in known if fit.verdict != "fits")
    lines = [_headline(len(known) - len(problems), len(fits)), *_short(known)] if known else []
    rows = tuple(_row(pool, fit) for pool, fit in known)
    tables = (Table(COLUMNS, rows, frozenset(range(TEXTS, len(COLUMNS)))),) if rows else ()
    return PlainSection("Fit", (*lines, *unknown), tables, problems, {"pools": [_data(*both) for both in fits]})


def _headline(good: int, pools: int) -> str:
    told = "every pool holds its model" if good == pools else f"{good} of {pools} pools are known to hold their model"
    return f"{told} (in the table: GiB of one GPU; tokens and requests of one worker)"


def _short(known: Sequence[tuple[WorkerPool, Fit]]) -> Iterator[str]:
    for pool, fit in known:
        if fit.verdict == "fits" and not fit.requests:
            longest = f"the model's context is {fit.context:,} tokens, the cache holds {fit.tokens:,}"
            yield f"pool {pool.name}: {longest}, so a longer request is refused; engine.context_length can say so"


def _problem(pool: WorkerPool, fit: Fit) -> Problem:
    facts, instance = known_facts(pool.model_id), catalogue().instances[pool.instance_type]
    remedy = cheapest_remedy(facts, instance, pool.engine, fit) if facts else ""
    return Problem(f"pool {pool.name}", f"{pool.model_id} {reason(fit, instance)}; {remedy}")


def _row(pool: WorkerPool, fit: Fit) -> tuple[str, ...]:
    sizes = (f"{size:.1f}" for size in (fit.weights, fit.cache, fit.reserve, fit.needed))
    counts = (f"{count:,}" for count in (fit.tokens, fit.context, fit.requests))
    return (pool.name, pool.instance_type, str(fit.gpus), *sizes, *counts)


def _data(pool: WorkerPool, fit: Fit | None) -> Json:
    about: dict[str, Json] = {"pool": pool.name, "model_id": pool.model_id, "note": pool_note(pool)}
    return about | (asdict(fit) if fit else {"verdict": None})
