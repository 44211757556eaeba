"""What a part of the summary is: sentences, tables of text, problems, and all of it as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from plans.change import Json


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; `right` are the columns of figures, by number."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Problem:
    """Something that needs attention before an apply: exit code 4."""

    where: str
    text: str


class Section(Protocol):
    """A part of the summary."""

    @property
    def title(self) -> str:
        """Its heading."""
        ...

    @property
    def problems(self) -> Sequence[Problem]:
        """What needs attention."""
        ...

    def render_lines(self) -> Sequence[str]:
        """Sentences, each a line; the first is the one that is kept when room is short."""
        ...

    def render_tables(self) -> Sequence[Table]:
        """Tables below the sentences."""
        ...

    def render_json(self) -> Mapping[str, Json]:
        """All of it as data."""
        ...


@dataclass(frozen=True)
class PlainSection:
    """A section whose parts are given."""

    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    problems: tuple[Problem, ...] = ()
    data: Mapping[str, Json] = field(default_factory=dict)

    def render_lines(self) -> Sequence[str]:
        """The sentences."""
        return self.lines

    def render_tables(self) -> Sequence[Table]:
        """The tables."""
        return self.tables

    def render_json(self) -> Mapping[str, Json]:
        """The data; without any, the sentences."""
        return self.data or {"lines": list(self.lines)}
