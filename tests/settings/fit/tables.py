"""The tables of `docs/fit.md`: real cases, and published figures."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

from settings.engine_arguments import EngineArguments

PAGE = Path(__file__).parents[3] / "docs" / "fit.md"


class RealCase(NamedTuple):
    instance_type: str
    model_id: str
    arguments: str
    known: str
    answer: str
    gib: str
    source: str

    @property
    def engine(self) -> EngineArguments:
        if self.arguments == "-":
            return EngineArguments()
        return EngineArguments.read(tomllib.loads("\n".join(self.arguments.strip("`").split(", "))))


class Figure(NamedTuple):
    model_id: str
    kind: str
    published: str
    figure: str
    computed: str
    difference: str
    source: str

    @property
    def number(self) -> float:
        return float(self.figure.replace(",", ""))

    @property
    def gpus(self) -> int:
        count, _, rest = self.published.partition(" x ")
        return int(count) if rest else 1


def _rows(title: str) -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def real_cases() -> list[RealCase]:
    return [RealCase(*row) for row in _rows("Real cases")]


def cache_figures() -> list[Figure]:
    return [Figure(*row) for row in _rows("Cache per token, against published figures")]


def weight_figures() -> list[Figure]:
    return [Figure(*row) for row in _rows("Weights, against published figures")]
