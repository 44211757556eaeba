"""The picture of a comparison: as PNG, or as one HTML file that needs nothing else."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.compare import Outcome
from simulator.run import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MINUTE = 60.0
TALL_INCHES, WIDE_INCHES = 3.2, 11.0
DRAWN = 240
"""Points of a line at most; more are joined, as they would not be seen apart."""
SUFFIXES = (".png", ".html")
COLOURS = ("#999999", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#0000cc", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart; the last two are for ours and the bound."""
BOLD = ("ours", "clairvoyant")


def save(path: Path, title: str, outcomes: Mapping[str, Outcome], ttft_seconds: float) -> None:
    """Write the picture; the file's ending says which kind.

    Raises:
        ValueError: the ending is neither .png nor .html.
        OSError: the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: the picture ends in {' or '.join(SUFFIXES)}")
    figure = draw(title, outcomes, ttft_seconds)
    if path.suffix == ".png":
        # Without the version of matplotlib, so that the bytes depend on the run alone.
        figure.savefig(path, dpi=110, metadata={"Software": None})
        return
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    picture = drawing.getvalue()
    path.write_text(_page(title, picture[picture.index("<svg") :], outcomes), encoding="utf-8")


def draw(title: str, outcomes: Mapping[str, Outcome], ttft_seconds: float) -> Figure:
    """Four panels over the same time: arrivals, workers, requests in flight per worker, time to first token."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only pictures should cost
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    mpl.rcParams["svg.hashsalt"] = "sglang-fleet"
    mpl.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(WIDE_INCHES, 4 * TALL_INCHES), layout="constrained")
    arrivals, workers, load, first = figure.subplots(4, 1, sharex=True)
    figure.suptitle(title)
    _arrivals(arrivals, next(iter(outcomes.values())))
    for colour, (name, outcome) in zip(COLOURS * len(outcomes), outcomes.items(), strict=False):
        points = thinned(outcome.course.points)
        desired = [point.desired for point in points]
        workers.step(_minutes(points), desired, where="post", color=colour, alpha=0.45, ls=":", lw=1)
        _line(workers, points, lambda point: point.ready, name, colour)
        _line(load, points, lambda point: point.in_flight / max(point.ready, 1), name, colour)
        _line(first, points, lambda point: point.ttft_p90, name, colour)
    _dress(workers, "Workers ready\n(dotted: desired)")
    workers.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    _dress(load, "In flight per worker", "symlog")
    first.axhline(ttft_seconds, color="red", ls="--", lw=1)
    _dress(first, f"p90 time to first token, s\n(red: SLO, {ttft_seconds:g} s)", "log")
    first.set_xlabel("Minutes since the start of the trace")
    return figure


def _arrivals(axes: Axes, outcome: Outcome) -> None:
    points = thinned(outcome.course.points)
    rates = [point.arrivals / point.seconds for point in points]
    axes.fill_between(_minutes(points), rates, step="post", color="#999999")
    axes.set_ylabel("Requests per second")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def _line(axes: Axes, points: list[Point], value: Callable[[Point], float | None], name: str, colour: str) -> None:
    values = [float("nan") if (found := value(point)) is None else found for point in points]
    axes.plot(
        _minutes(points), values, color=colour, lw=2.2 if name in BOLD else 1.1, label=name, drawstyle="steps-post"
    )


def _dress(axes: Axes, label: str, scale: str = "linear") -> None:
    axes.set_yscale(scale)
    axes.set_ylabel(label)
    if scale != "log":
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def thinned(points: list[Point]) -> list[Point]:
    """No more than DRAWN points, neighbours joined."""
    size = -(-len(points) // DRAWN) or 1
    found = []
    for start in range(0, len(points), size):
        point = points[start]
        for after in points[start + 1 : start + size]:
            point = point.joined(after)
        found.append(point)
    return found


def _minutes(points: list[Point]) -> list[float]:
    return [point.start / MINUTE for point in points]


def _page(title: str, picture: str, outcomes: Mapping[str, Outcome]) -> str:
    head = ("Policy", "SLO attainment", "p90 TTFT, s", "GPU hours", "x clairvoyant", "Lost", "Refused")
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td>" + "".join(f"<td>{cell}</td>" for cell in _cells(outcome)) + "</tr>\n"
        for name, outcome in outcomes.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>body{{font:14px sans-serif;margin:2em;max-width:75em}}td,th{{padding:.2em .8em;text-align:right}}
td:first-child,th:first-child{{text-align:left}}svg{{max-width:100%;height:auto}}</style></head>
<body><h1>{html.escape(title)}</h1>
<table><tr>{"".join(f"<th>{cell}</th>" for cell in head)}</tr>
{rows}</table>
{picture}</body></html>
"""


def _cells(outcome: Outcome) -> tuple[str, ...]:
    row = outcome.result
    return (
        _shown(row.slo_attainment, ".1%"),
        _shown(row.ttft_p90, ".2f"),
        f"{row.gpu_hours:.1f}",
        _shown(row.over_provisioning, ".2f"),
        str(row.lost),
        str(row.refused),
    )


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
