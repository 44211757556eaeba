"""The dashboard as a picture: the deployed widgets in their places, with the data that the emulated CloudWatch has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.dashboard import LEFT, RIGHT, Course, Widget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

COLUMNS = 24
INCHES_A_COLUMN, INCHES_A_ROW = 0.75, 0.52
DOTS_PER_INCH = 80
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which colour-blind readers can tell apart."""
MARK = "#999999"
SMALL, TITLE = 7, 9
HEADROOM = 1.15


def draw(
    widgets: tuple[Widget, ...], data: Callable[[Widget], list[Course]], since: datetime, until: datetime, path: Path
) -> None:
    """Write the picture as PNG; times are minutes after `since`.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only pictures should cost

    rows = max(y + height for _, y, _, height in (widget.place for widget in widgets))
    figure = Figure(figsize=(COLUMNS * INCHES_A_COLUMN, rows * INCHES_A_ROW), layout="constrained")
    grid = figure.add_gridspec(rows, COLUMNS)
    minutes = (until - since).total_seconds() / 60
    for widget in widgets:
        x, y, width, height = widget.place
        axes = figure.add_subplot(grid[y : y + height, x : x + width])
        if widget.kind == "metric":
            _graph(axes, widget, data(widget), since)
            axes.set_xlim(0, minutes)
        else:
            _words(axes, widget)
    figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None})


def _words(axes: Axes, widget: Widget) -> None:
    """Text as it is written; of a table of log lines, which no rehearsal fills, its query."""
    axes.set_axis_off()
    if widget.kind == "text":
        heading, _, rest = str(widget.properties["markdown"]).partition("\n")
        axes.text(0, 0.95, heading.lstrip("# "), fontsize=TITLE + 4, weight="bold", va="top")
        axes.text(0, 0.3, rest.replace("`", ""), fontsize=SMALL + 1, va="top")
        return
    axes.set_title(str(widget.properties["title"]), fontsize=TITLE, loc="left")
    query = str(widget.properties["query"]).replace(" | ", "\n| ")
    axes.text(0, 0.95, query, fontsize=SMALL, va="top", family="monospace", wrap=True)


def _graph(axes: Axes, widget: Widget, data: list[Course], since: datetime) -> None:
    axes.set_title(str(widget.properties["title"]), fontsize=TITLE, loc="left")
    right = axes.twinx() if any(line.axis == RIGHT for line in widget.lines) else None
    for colour, line, course in zip(cycle(COLOURS), widget.lines, data, strict=False):
        side = right if right is not None and line.axis == RIGHT else axes
        # A period that has begun before counts from its part that is shown.
        times = [max((at - since).total_seconds() / 60, 0.0) for at, _ in course]
        kind = "o-" if len(course) < 3 else "-"  # noqa: PLR2004 - a line of so few points is not seen
        side.plot(times, [value for _, value in course], kind, color=colour, label=line.label, linewidth=1.2)
    scales = [(axes, LEFT)] if right is None else [(axes, LEFT), (right, RIGHT)]
    for scale, name in scales:
        _scale(scale, widget, name)
    handles = [handle for scale, _ in scales for handle in scale.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, fontsize=SMALL, loc="upper left", frameon=False)


def _scale(axes: Axes, widget: Widget, side: str) -> None:
    """From zero; high enough for the data, and for a mark that is not far above them."""
    for label, value in _marks(widget, side):
        axes.axhline(value, color=MARK, linewidth=0.8, linestyle="--")
        axes.annotate(
            label, (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=SMALL, color=MARK
        )
    highest = widget.properties["yAxis"][side].get("max")
    top = axes.get_ylim()[1] if highest is None else float(highest)
    axes.set_ylim(0, max(top, 1e-3) * HEADROOM)
    axes.tick_params(labelsize=SMALL)


def _marks(widget: Widget, side: str) -> Iterator[tuple[str, float]]:
    for mark in widget.properties.get("annotations", {}).get("horizontal", ()):
        if mark["yAxis"] == side:
            yield str(mark["label"]), float(mark["value"])
