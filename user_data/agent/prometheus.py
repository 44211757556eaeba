"""Reads pages in Prometheus's text format, of which a line is `NAME{LABEL="VALUE",…} NUMBER`. No call is made here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

LIMIT = 1e15
"""No count of requests, tokens or seconds gets there (assumption): 10,000 tokens a second need 3,000 years."""

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_NAME_END = re.compile(r"[{ ]")


@dataclass(frozen=True)
class Sample:
    """One line of a page."""

    labels: Mapping[str, str]
    value: float


Families = Mapping[str, tuple[Sample, ...]]
"""Lines by the metric's name."""

Buckets = Mapping[float, float]
"""A histogram: for each upper edge, how many observations were at most that. Edges ascend; the last is infinite."""


def number(text: str) -> float:
    """Return a value that can be a count or a measured quantity.

    Raises:
        ValueError: it is no number, not finite, negative, or above LIMIT.
    """
    value = float(text)
    if not math.isfinite(value) or not 0 <= value <= LIMIT:
        raise ValueError(f"{text[:40]!r} is no count; a number from 0 to {LIMIT:g} is")
    return value


def read(text: str, wanted: Container[str]) -> Families:
    """Return the lines of the metrics in `wanted`; other lines are not looked at.

    Raises:
        ValueError: a value is not what `number` takes.
    """
    found: dict[str, list[Sample]] = {}
    for line in text.splitlines():
        name = _NAME_END.split(line, maxsplit=1)[0]
        if name in wanted:
            labels, _, value = line.removeprefix(name).rpartition("} " if "}" in line else " ")
            found.setdefault(name, []).append(Sample(dict(_LABEL.findall(labels)), number(value.split(" ")[0])))
    return {name: tuple(samples) for name, samples in found.items()}


def total(samples: tuple[Sample, ...]) -> float:
    """Return the sum of a metric over all its label values, 0 of none."""
    return math.fsum(sample.value for sample in samples)


def histogram(samples: tuple[Sample, ...]) -> Buckets:
    """Return the histogram of a `_bucket` metric, summed over all labels but the edge.

    Raises:
        ValueError: a line without an edge, or counts that fall from one edge to the next.
    """
    sums: dict[float, float] = {}
    for sample in samples:
        edge = float(sample.labels.get("le", "none"))
        sums[edge] = sums.get(edge, 0.0) + sample.value
    ordered = dict(sorted(sums.items()))
    counts = list(ordered.values())
    if math.isnan(math.fsum(edge for edge in ordered if edge != math.inf)) or counts != sorted(counts):
        raise ValueError("a histogram whose counts fall from one edge to the next")
    return ordered
