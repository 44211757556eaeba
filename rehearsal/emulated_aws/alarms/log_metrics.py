"""What CloudWatch counts in logs: metric filters, and the bytes that came in.

What moto 5.2.5 does instead: a metric filter counts nothing, and one that is written again is there twice.
"""

from __future__ import annotations

import logging
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogsBackend

from rehearsal.emulated_aws.alarms.log_patterns import PatternError, matcher
from rehearsal.emulated_aws.alarms.metric_store import MetricId, Store, store_of
from rehearsal.emulated_aws.alarms.statistics import STANDARD_RESOLUTION, point
from rehearsal.emulated_aws.extension import extend
from rehearsal.emulated_aws.scaling_groups import WORLD
from rehearsal.places import ACCOUNT_ID

log = logging.getLogger(__name__)
OVERHEAD_BYTES = 26  # API_PutLogEvents.html: every event counts with so many more


def _put_metric_filter(
    self: LogsBackend,
    filter_name: str,
    filter_pattern: str,
    log_group_name: str,
    metric_transformations: Any,  # noqa: ANN401 - as the request has them
) -> None:
    """API_PutMetricFilter.html: creates or updates."""
    try:
        matcher(filter_pattern)
    except PatternError as error:
        raise InvalidParameterException(str(error), "filterPattern", filter_pattern) from error
    with WORLD.lock:
        self.filters.delete_filter(filter_name, log_group_name)
        _moto_put_filter(self, filter_name, filter_pattern, log_group_name, metric_transformations)


def _put_log_events(
    self: LogsBackend, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    answer: tuple[str, dict[str, Any]] = _moto_put_events(self, log_group_name, log_stream_name, log_events)
    with WORLD.lock:
        _count(self, log_group_name, log_events)
    return answer


def _count(backend: LogsBackend, group: str, events: list[dict[str, Any]]) -> None:
    store = store_of(cloudwatch_backends[ACCOUNT_ID][backend.region_name])
    volume = sum(len(str(event["message"]).encode()) + OVERHEAD_BYTES for event in events)
    incoming = MetricId("AWS/Logs", "IncomingBytes", frozenset({("LogGroupName", group)}))
    now = WORLD.clock.now().timestamp()
    store.add(incoming, "Bytes", point(now, [float(volume)], resolution=STANDARD_RESOLUTION))
    for one in backend.filters.get_matching_filters(log_group_name=group):
        matches = matcher(str(one["filterPattern"]))
        found = [event for event in events if matches(str(event["message"]))]
        for event in found:
            _add(store, one, "metricValue", float(event["timestamp"]) / 1000)
        if events and not found:
            _add(store, one, "defaultValue", now)


def _add(store: Store, kept: dict[str, Any], field: str, at: float) -> None:
    """The value is added when a line matches; the default, if there is one, when lines come in and none does.

    FilterAndPatternSyntaxForMetricFilters.html, "defaultValue": there for a whole minute, here for each batch of lines;
    as it is 0 wherever it makes sense, the sums are the same.
    """
    for made in kept["metricTransformations"]:
        metric = MetricId(made["metricNamespace"], made["metricName"], frozenset())
        if made.get(field) is None:
            continue
        try:
            value = float(made[field])
        except ValueError:
            log.warning("metric filter %s: its value is not a number: %s", kept["filterName"], made[field])
            continue
        store.add(metric, made.get("unit") or "None", point(at, [value], resolution=STANDARD_RESOLUTION))


_moto_put_filter = LogsBackend.put_metric_filter
_moto_put_events = LogsBackend.put_log_events


def install() -> None:
    """Have logs counted."""
    extend(LogsBackend, "put_metric_filter", _put_metric_filter)
    extend(LogsBackend, "put_log_events", _put_log_events)
