"""A deployed dashboard, read back, compared with what is published, and drawn."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("moto")

from rehearsal import dashboard, dashboard_picture
from tests.rehearsal.alarms.api.support import NAMESPACE, Site, boundary, now, to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow  # importing moto takes two seconds

POOL = ["Deployment", "d", "Pool", "p"]
PNG = b"\x89PNG"


def graph(*metrics: list[Any], **more: Any) -> dict[str, Any]:
    place = {"x": 0, "y": 2, "width": 12, "height": 6}
    axes = {"yAxis": {"left": {"min": 0}, "right": {"min": 0}}}
    properties = {"title": "pool: load", "period": 10, "metrics": list(metrics), **axes, **more}
    return {"type": "metric", **place, "properties": properties}


def options(label: str, **more: str) -> dict[str, str]:
    return {"label": label, "stat": "Average", **more}


@pytest.fixture
def shown(site: Site) -> Iterator[tuple[dashboard.Widget, ...]]:
    text = {"type": "text", "x": 0, "y": 0, "width": 24, "height": 2, "properties": {"markdown": "# demo\n`x`"}}
    logs = {"type": "log", "x": 12, "y": 2, "width": 12, "height": 6}
    logs["properties"] = {"title": "warnings", "query": "SOURCE 'x' | fields y"}
    load = [NAMESPACE, "Load", *POOL, options("load")]
    queue = [NAMESPACE, "Queue", *POOL, options("queue", yAxis="right")]
    marks = {"annotations": {"horizontal": [{"label": "target", "value": 8, "yAxis": "left"}]}}
    body = {"widgets": [text, graph(load, queue, **marks), logs]}
    site.watch.put_dashboard(DashboardName=site.name, DashboardBody=json.dumps(body))
    yield dashboard.deployed(site.watch)
    site.watch.delete_dashboards(DashboardNames=[site.name])


def test_what_nobody_has_published_is_named(site: Site, shown: tuple[dashboard.Widget, ...]) -> None:
    site.put("Load", 3.0)
    site.watch.put_metric_data(Namespace=NAMESPACE, MetricData=[{"MetricName": "Queue", "Value": 1.0}])
    (missing,) = dashboard.unpublished(site.watch, shown)
    assert str(missing) == f"{NAMESPACE} Queue Deployment=d Pool=p", "the one with other dimensions is another metric"
    site.put("Queue", 0.0)
    assert dashboard.wait_until_published(site.watch, shown, print) == frozenset()


def test_the_picture_has_the_data_of_every_line(
    site: Site, shown: tuple[dashboard.Widget, ...], tmp_path: Path
) -> None:
    to(boundary(60))
    since = now()
    for value in (4.0, 6.0, 8.0):
        site.run(10, Load=value)
    site.put("Queue", 2.0)
    drawn: list[list[list[float]]] = []

    def data(widget: dashboard.Widget) -> list[dashboard.Course]:
        courses = dashboard.courses(site.watch, widget, since, now() + timedelta(seconds=10))
        drawn.append([[value for _, value in course] for course in courses])
        return courses

    path = tmp_path / "dashboard.png"
    dashboard_picture.draw(shown, data, since, now(), path)
    assert drawn == [[[4.0, 6.0, 8.0], [2.0]]], "one graph, its lines in the order of the widget"
    assert path.read_bytes().startswith(PNG)
