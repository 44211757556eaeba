"""The dashboard keeps to CloudWatch's structure, and shows every metric of the catalogue."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest

from settings.load import load_settings
from stacks.app import dashboard_of
from stacks.dashboard import dashboard_body, shown_metrics
from stacks.saved_queries import saved_queries
from tests.stacks.synthesized import ENVIRONMENTS, REPOSITORY, environment
from user_data.metrics import ALL_METRICS, LOG_METRICS, REFUSED, log_namespace

pytestmark = pytest.mark.slow
COLUMNS = 24
AWS_NAMESPACES = {"AWS/AutoScaling", "AWS/Logs"}


def widgets(name: str) -> list[dict[str, Any]]:
    body = environment(name).stacks["logs"]["resource"]["aws_cloudwatch_dashboard"]["dashboard"]["dashboard_body"]
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_widget_has_its_place_and_none_lies_on_another(name: str) -> None:
    placed = widgets(name)
    for widget in placed:
        assert widget["x"] >= 0
        assert widget["width"] >= 1
        assert widget["x"] + widget["width"] <= COLUMNS
        assert 1 <= widget["height"] <= 1000
    for one, other in combinations(placed, 2):
        apart = (
            one["x"] + one["width"] <= other["x"]
            or other["x"] + other["width"] <= one["x"]
            or one["y"] + one["height"] <= other["y"]
            or other["y"] + other["height"] <= one["y"]
        )
        assert apart, (one["properties"], other["properties"])


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_widget_has_the_properties_of_its_type(name: str) -> None:
    for widget in widgets(name):
        properties = widget["properties"]
        if widget["type"] == "text":
            assert properties["markdown"]
        elif widget["type"] == "log":
            assert {"region", "query", "view", "title"} == set(properties)
            assert properties["query"].startswith("SOURCE '/sglang-fleet/")
        else:
            assert widget["type"] == "metric"
            assert properties["view"] == "timeSeries"
            assert properties["period"] in {10, 60, 300, 3600}
            for metric in properties["metrics"]:
                _is_metric(metric)


def _is_metric(metric: list[Any]) -> None:
    """[namespace, name, (dimension, value)…, options]."""
    *names, options = metric
    assert len(names) >= 2
    assert len(names) % 2 == 0
    assert all(isinstance(part, str) and part for part in names)
    assert {"label", "stat"} <= set(options) <= {"label", "stat", "yAxis"}


@pytest.mark.parametrize("name", ["two-pools", "office-hours"])
def test_it_shows_every_metric_of_every_pool(name: str) -> None:
    settings = load_settings(REPOSITORY / "environments" / f"{name}.toml")
    shown = {one for one in shown_metrics(dashboard_of(settings)) if one[0] not in AWS_NAMESPACES}
    namespace = settings.logs.metrics_namespace
    expected = set()
    for pool in settings.workers:
        for metric in ALL_METRICS:
            of = log_namespace(namespace, settings.name, pool.name) if metric in LOG_METRICS else namespace
            dimensions = tuple(sorted(metric.dimension_values(settings.name, pool.name).items()))
            if metric != REFUSED or pool.min_size == 0:  # only pools that may be empty count it
                expected.add((of, metric.name, dimensions))
    assert shown == expected


def test_the_set_and_the_json_agree() -> None:
    dashboard = dashboard_of(load_settings(REPOSITORY / "environments" / "example.toml"))
    graphs = [one["properties"] for one in json.loads(dashboard_body(dashboard))["widgets"] if one["type"] == "metric"]
    written = set()
    for metric in (metric for graph in graphs for metric in graph["metrics"]):
        namespace, name, *dimensions, _ = metric
        pairs = tuple(sorted(zip(dimensions[::2], dimensions[1::2], strict=True)))
        written.add((namespace, name, pairs))
    assert written == shown_metrics(dashboard)


def test_the_target_and_the_alarms_are_drawn_where_the_numbers_are() -> None:
    marks = {
        one["properties"]["title"]: one["properties"]["annotations"]["horizontal"]
        for one in widgets("example")
        if "annotations" in one["properties"]
    }
    assert marks["default: load"] == [{"label": "target", "value": 8.0, "yAxis": "left"}]
    assert marks["default: rate and errors"] == [{"label": "alarm", "value": 5.0, "yAxis": "right"}]


def test_groups_publish_what_the_dashboard_and_the_alarms_look_at() -> None:
    stacks = environment("example").stacks
    published = set(stacks["workers-default"]["resource"]["aws_autoscaling_group"]["group"]["enabled_metrics"])
    text = json.dumps(stacks)
    wanted = {"GroupDesiredCapacity", "GroupInServiceInstances", "GroupTerminatingInstances"}
    assert wanted <= published
    assert all(name in text for name in published)


def test_queries_are_saved_in_a_folder_of_the_deployment() -> None:
    found = environment("two-pools").stacks["logs"]["resource"]["aws_cloudwatch_query_definition"].values()
    deployment = load_settings(REPOSITORY / "environments" / "two-pools.toml").name
    names = {query["name"] for query in found}
    assert names == {f"{deployment}/{query.name}" for query in saved_queries("router", ("pool",))}
    (phases,) = [query for query in found if query["name"].endswith("/boot-phases")]
    assert len(phases["log_group_names"]) == 2
    assert phases["query_string"].startswith("filter event = 'boot_phase'\n| stats count(*)")
