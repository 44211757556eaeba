"""Metrics as the emulated CloudWatch keeps them, with their resolution.

What moto 5.2.5 does instead: resolutions are dropped, `Counts` become as many data points, an infinite value is taken.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import CloudWatchBackend

from rehearsal.emulated_aws.alarms.metric_math import Math, Series
from rehearsal.emulated_aws.alarms.schedules import utc
from rehearsal.emulated_aws.alarms.statistics import (
    STANDARD_RESOLUTION,
    Point,
    by_period,
    point,
    statistic_set,
)
from rehearsal.emulated_aws.extension import extend
from rehearsal.emulated_aws.scaling_groups import WORLD

# API_PutMetricAlarm.html: EvaluationPeriods times Period is a day at most; a rehearsal asks for nothing older.
KEPT_SECONDS = 86_400 + 3600


@dataclass(frozen=True)
class MetricId:
    """A metric: namespace, name and exactly these dimensions (cloudwatch_concepts.html)."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Iterable[Mapping[str, str]]) -> MetricId:
        """From the fields of a request."""
        pairs = frozenset((str(one["Name"]), str(one["Value"])) for one in dimensions)
        return cls(namespace, name, pairs)


@dataclass(frozen=True)
class Query:
    """A statistic of a metric, or an expression: one MetricDataQuery (API_MetricDataQuery.html)."""

    id: str
    metric: MetricId | None = None
    statistic: str = "Average"
    period: int = STANDARD_RESOLUTION
    unit: str | None = None
    expression: str | None = None
    label: str | None = None
    returned: bool = True

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Query:
        """From a request."""
        name, label = str(given["Id"]), given.get("Label")
        returned = given.get("ReturnData") is not False
        if given.get("Expression"):
            period = int(given.get("Period") or 0)
            return cls(name, expression=given["Expression"], period=period, label=label, returned=returned)
        stat = given["MetricStat"]
        metric = stat["Metric"]
        found = MetricId.of(metric["Namespace"], metric["MetricName"], metric.get("Dimensions") or ())
        return cls(name, found, stat["Stat"], int(stat["Period"]), stat.get("Unit"), label=label, returned=returned)


@dataclass
class Store:
    """All data points of a region, those of each metric in the order of their times."""

    points: dict[MetricId, dict[str, list[Point]]] = field(default_factory=dict)

    def add(self, metric: MetricId, unit: str, one: Point) -> None:
        """Keep a data point."""
        row = self.points.setdefault(metric, {}).setdefault(unit, [])
        row.insert(_from(row, one.at), one)
        del row[: _from(row, row[-1].at - KEPT_SECONDS)]

    def series(self, query: Query, starts: range) -> Series:
        """The statistic that a query names, of each period; a unit picks the data points that have it."""
        assert query.metric is not None  # noqa: S101 - expressions go through `answer`
        found: list[Point] = []
        for unit, row in self.points.get(query.metric, {}).items():
            if starts and query.unit in {None, unit}:
                found += row[_from(row, starts[0]) : _from(row, starts[-1] + starts.step)]
        return by_period(found, query.statistic, starts)

    def answer(self, queries: Sequence[Query], wanted: str, starts: range) -> Series:
        """The series of one query among others that it may use.

        Raises:
            MetricMathError: it cannot be worked out.
        """
        metrics = {query.id: self.series(query, starts) for query in queries if query.metric is not None}
        expressions = {query.id: query.expression for query in queries if query.expression is not None}
        return Math(starts, starts.step, metrics, expressions).series(wanted)


def _from(row: Sequence[Point], at: float) -> int:
    """Where the data points of a moment and later ones begin."""
    return bisect_left(row, float(at), key=lambda kept: kept.at)


def store_of(backend: CloudWatchBackend) -> Store:
    """The store of a region."""
    found: Store | None = getattr(backend, "rehearsal_metrics", None)
    if found is None:
        found = Store()
        setattr(backend, "rehearsal_metrics", found)  # noqa: B010 - moto's class does not declare it
    return found


def common_period(queries: Iterable[Query]) -> int:
    """The period in which expressions are worked out: the longest of those that occur (an assumption)."""
    return max((query.period for query in queries), default=0) or STANDARD_RESOLUTION


def refuse_what_is_no_number(data: Sequence[Mapping[str, Any]]) -> None:
    """API_MetricDatum.html: NaN, +Infinity and -Infinity are not supported.

    Raises:
        InvalidParameterValue: as AWS says it.
    """
    for number, datum in enumerate(data, 1):
        given = {"Value": datum.get("Value"), **(datum.get("StatisticValues") or {})}
        rows = [(name, value) for name, value in given.items() if value is not None]
        rows += [("Values", value) for value in datum.get("Values") or ()]
        for name, value in rows:
            if not math.isfinite(float(value)):
                raise InvalidParameterValue(
                    f"The value {value} for parameter MetricData.member.{number}.{name} is invalid."
                )


def _point(datum: Mapping[str, Any]) -> Point:
    stamp = datum.get("Timestamp")
    at = (utc(stamp) if isinstance(stamp, datetime) else WORLD.clock.now()).timestamp()
    resolution = int(datum.get("StorageResolution") or STANDARD_RESOLUTION)
    if datum.get("StatisticValues"):
        return statistic_set(at, {key: float(value) for key, value in datum["StatisticValues"].items()}, resolution)
    if datum.get("Values"):
        counts = [float(count) for count in datum.get("Counts") or ()] or None
        return point(at, [float(value) for value in datum["Values"]], counts, resolution)
    return point(at, [float(datum["Value"])], None, resolution)


def _put_metric_data(self: CloudWatchBackend, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    refuse_what_is_no_number(metric_data)
    for number, datum in enumerate(metric_data, 1):
        self._validate_parameters_put_metric_data(datum, number)
        if not any(datum.get(kind) not in (None, []) for kind in ("Value", "Values", "StatisticValues")):
            raise InvalidParameterValue(f"The parameter MetricData.member.{number} must have a value.")
    with WORLD.lock:
        store, new = store_of(self), []
        for datum in metric_data:
            metric = MetricId.of(namespace, datum["MetricName"], datum.get("Dimensions") or ())
            if metric not in store.points:
                new.append({key: value for key, value in datum.items() if key in {"MetricName", "Dimensions", "Unit"}})
            store.add(metric, str(datum.get("Unit") or "None"), _point(datum))
        # One data point of each metric is enough for moto's ListMetrics, which goes through all of them.
        _moto_put(self, namespace, [{**datum, "Value": 0.0} for datum in new])


_moto_put = CloudWatchBackend.put_metric_data


def install() -> None:
    """Keep metrics so."""
    extend(CloudWatchBackend, "put_metric_data", _put_metric_data)
