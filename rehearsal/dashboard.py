"""The deployed dashboard, read back from the emulated CloudWatch: what it shows, and whether anybody publishes that.

The form of a widget: CloudWatch API reference, "Dashboard body structure and syntax".
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

POLL_SECONDS = 1.0
# A group publishes once a minute (as-monitoring-features.html), and log filters count by the minute.
PUBLISHED_SECONDS = 75.0
LEFT, RIGHT = "left", "right"


@dataclass(frozen=True)
class Metric:
    """A metric as CloudWatch tells it apart from every other."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Namespace, name and dimensions."""
        return " ".join((self.namespace, self.name, *(f"{name}={value}" for name, value in self.dimensions)))


@dataclass(frozen=True)
class Line:
    """One metric in a graph, with the statistic that is drawn of it."""

    metric: Metric
    statistic: str
    label: str
    axis: str

    @classmethod
    def of(cls, written: Sequence[Any]) -> Line:
        """From `[namespace, name, (dimension, value)…, options]`."""
        namespace, name, *pairs, options = written
        dimensions = tuple(sorted(zip(pairs[::2], pairs[1::2], strict=True)))
        axis = options.get("yAxis", LEFT)
        return cls(Metric(namespace, name, dimensions), options["stat"], options["label"], axis)

    def query(self, identifier: str, period: int) -> dict[str, Any]:
        """The line as a MetricDataQuery."""
        metric = {
            "Namespace": self.metric.namespace,
            "MetricName": self.metric.name,
            "Dimensions": [{"Name": name, "Value": value} for name, value in self.metric.dimensions],
        }
        return {"Id": identifier, "MetricStat": {"Metric": metric, "Period": period, "Stat": self.statistic}}


@dataclass(frozen=True)
class Widget:
    """One widget: its kind, its place on the grid of 24 columns (x, y, width, height), its properties."""

    kind: str
    place: tuple[int, int, int, int]
    properties: dict[str, Any]

    @property
    def lines(self) -> tuple[Line, ...]:
        """What a graph shows; nothing for any other widget."""
        return tuple(Line.of(written) for written in self.properties.get("metrics", ()))

    @property
    def period(self) -> int:
        """Seconds that are one point of a graph."""
        return int(self.properties.get("period", 60))


Course = list[tuple[datetime, float]]
"""The points of a line."""


def deployed(cloudwatch: Any) -> tuple[Widget, ...]:  # noqa: ANN401 - boto3 makes its clients at run time
    """The widgets of the account's dashboards; a rehearsal has one."""
    found: list[Widget] = []
    for entry in cloudwatch.list_dashboards()["DashboardEntries"]:
        body = json.loads(cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"])
        for written in body["widgets"]:
            place = (written["x"], written["y"], written["width"], written["height"])
            found.append(Widget(written["type"], place, written["properties"]))
    return tuple(found)


def unpublished(cloudwatch: Any, widgets: Iterable[Widget]) -> frozenset[Metric]:  # noqa: ANN401 - as above
    """Metrics that a graph shows and that nobody has published."""
    pages = cloudwatch.get_paginator("list_metrics").paginate()
    known = {_listed(metric) for page in pages for metric in page["Metrics"]}
    return frozenset(line.metric for widget in widgets for line in widget.lines) - known


def _listed(answer: dict[str, Any]) -> Metric:
    dimensions = sorted((one["Name"], one["Value"]) for one in answer["Dimensions"])
    return Metric(answer["Namespace"], answer["MetricName"], tuple(dimensions))


def wait_until_published(
    cloudwatch: Any,  # noqa: ANN401 - as above
    widgets: Iterable[Widget],
    say: Callable[[str], None],
) -> frozenset[Metric]:
    """Wait until everything shown has been published, for PUBLISHED_SECONDS at most; returns what has not."""
    deadline = time.monotonic() + PUBLISHED_SECONDS
    while missing := unpublished(cloudwatch, widgets):
        if time.monotonic() > deadline:
            break
        say(f"waiting for {len(missing)} metrics")
        time.sleep(POLL_SECONDS)
    return missing


def courses(cloudwatch: Any, widget: Widget, since: datetime, until: datetime) -> list[Course]:  # noqa: ANN401 - as above
    """The points of each line of a graph, the oldest first."""
    queries = [line.query(f"m{number}", widget.period) for number, line in enumerate(widget.lines)]
    if not queries:
        return []
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=since, EndTime=until, ScanBy="TimestampAscending"
    )
    found: dict[str, Course] = {query["Id"]: [] for query in queries}
    for page in pages:
        for result in page["MetricDataResults"]:
            found[result["Id"]] += zip(result["Timestamps"], result["Values"], strict=True)
    return list(found.values())
