"""A run as a picture: how its durations are spread, and how they went over time. PNG, or one HTML file by itself."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError
from bench.plan import Plan
from bench.records import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".html")
_INCHES = (11.0, 7.0)
_DOTS_PER_INCH = 120


def check_plot(path: Path) -> Path:
    """The path, if a picture can be written there.

    Raises:
        BenchError: another format, or no such folder.
    """
    if path.suffix.lower() not in FORMATS:
        raise BenchError(f"--plot: {path} ends neither in .png nor in .html; rename it")
    if not path.parent.is_dir():
        raise BenchError(f"--plot: there is no folder {path.parent}; make it first")
    return path


def write_plot(path: Path, plan: Plan, samples: Sequence[Sample]) -> None:
    """Write the picture in the format that the name says. Raises OSError."""
    figure = _figure(plan, [sample for sample in samples if sample.error is None], samples)
    if path.suffix.lower() == ".png":
        figure.savefig(path, dpi=_DOTS_PER_INCH)
        return
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    picture = drawn.getvalue()
    title = html.escape(f"{plan.model}: {plan.prompts.dataset}")
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><body>'
    path.write_text(page + picture[picture.index("<svg") :] + "</body></html>\n", encoding="utf-8")


def _figure(plan: Plan, good: Sequence[Sample], every: Sequence[Sample]) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second that a run without a picture need not wait

    figure = Figure(figsize=_INCHES, layout="constrained")
    (first, token), (over_time, flight) = figure.subplots(2, 2)
    figure.suptitle(f"{plan.model}: {plan.prompts.dataset}, {len(every)} requests", parse_math=False)
    begin = min((sample.start for sample in every), default=0.0)
    _distribution(first, "time to first token (ms)", [sample.first_token for sample in good])
    _distribution(token, "inter-token time, mean of a request (ms)", [sample.inter_token for sample in good])
    points = [(s.start - begin, s.first_token * 1000) for s in good if s.first_token is not None]
    over_time.plot(*np.reshape(points, (-1, 2)).T, ".", markersize=3)
    over_time.set(xlabel="request's start (s)", ylabel="time to first token (ms)", ylim=(0, None))
    times, counts = in_flight(every)
    flight.step([time - begin for time in times], counts, where="post")
    flight.set(xlabel="time (s)", ylabel="requests in flight", ylim=(0, None))
    return figure


def _distribution(axes: Axes, label: str, values: Sequence[float | None]) -> None:
    told = sorted(value * 1000 for value in values if value is not None)
    axes.plot(told, [(place + 1) / len(told) for place in range(len(told))], drawstyle="steps-post")
    axes.set(xlabel=label, ylabel="share of requests", ylim=(0, 1.02), xlim=(0, None))
    axes.grid(visible=True, alpha=0.3)


def in_flight(samples: Sequence[Sample]) -> tuple[list[float], list[int]]:
    """How many requests were in flight from each moment on at which that changed."""
    changes = sorted([(sample.start, 1) for sample in samples] + [(sample.end, -1) for sample in samples])
    counts = np.cumsum([change for _, change in changes], dtype=int).tolist()
    return [moment for moment, _ in changes], counts
