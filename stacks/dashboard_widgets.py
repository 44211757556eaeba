"""The widgets that the dashboard is made of, and how they are laid out: rows of equal widths over 24 columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stacks.alarm import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stacks.alarm import Series

COLUMNS = 24
HEIGHT = 6
TEXT_HEIGHT = 2
Json = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """Markdown over the whole width."""

    markdown: str
    kind: str = "text"
    height: int = TEXT_HEIGHT

    def properties(self, region: str) -> Json:
        """The widget's properties."""
        del region
        return {"markdown": self.markdown}


@dataclass(frozen=True)
class Logs:
    """A table of what a query finds in a log group."""

    title: str
    log_group: str
    steps: tuple[str, ...]
    kind: str = "log"
    height: int = HEIGHT

    def properties(self, region: str) -> Json:
        """The widget's properties."""
        query = " | ".join((f"SOURCE '{self.log_group}'", *self.steps))
        return {"title": self.title, "region": region, "view": "table", "query": query}


@dataclass(frozen=True)
class Line:
    """One metric in a graph; `right` puts it on the axis at the right."""

    series: Series
    label: str
    right: bool = False

    def as_json(self) -> list[Any]:
        """The metric as the dashboard's array."""
        dimensions = [part for pair in self.series.dimensions.items() for part in pair]
        axis = {"yAxis": "right"} if self.right else {}
        options = {"label": self.label, "stat": self.series.statistic, **axis}
        return [self.series.namespace, self.series.name, *dimensions, options]


@dataclass(frozen=True)
class Graph:
    """Lines over time. `marks` are values that the left axis is held against, `right_marks` the right one."""

    title: str
    lines: tuple[Line, ...]
    period: int = MINUTE
    marks: tuple[tuple[str, float], ...] = ()
    right_marks: tuple[tuple[str, float], ...] = ()
    highest: float | None = None
    kind: str = "metric"
    height: int = HEIGHT

    def properties(self, region: str) -> Json:
        """The widget's properties."""
        bounds = {"min": 0} if self.highest is None else {"min": 0, "max": self.highest}
        found: Json = {
            "title": self.title,
            "region": region,
            "view": "timeSeries",
            "stacked": False,
            "period": self.period,
            "metrics": [line.as_json() for line in self.lines],
            "yAxis": {"left": bounds, "right": {"min": 0}},
        }
        marks = [*_annotations(self.marks, "left"), *_annotations(self.right_marks, "right")]
        return found | ({"annotations": {"horizontal": marks}} if marks else {})


Widget = Text | Logs | Graph


def _annotations(marks: tuple[tuple[str, float], ...], axis: str) -> list[Json]:
    return [{"label": label, "value": value, "yAxis": axis} for label, value in marks]


def placed(rows: Iterable[tuple[Widget, ...]], region: str) -> list[Json]:
    """Each widget as JSON with its place: a row below the one before, its widgets side by side."""
    found: list[Json] = []
    top = 0
    for row in rows:
        width, height = COLUMNS // len(row), max(widget.height for widget in row)
        for index, widget in enumerate(row):
            place = {"x": index * width, "y": top, "width": width, "height": height}
            found.append({"type": widget.kind, **place, "properties": widget.properties(region)})
        top += height
    return found
