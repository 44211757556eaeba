"""Saved Logs Insights queries, and metric filters that count.

What moto 5.2.5 does instead: it knows no PutQueryDefinition, DescribeQueryDefinitions and DeleteQueryDefinition; it
keeps metric filters without looking at a line, and keeps a filter that is put again beside the old one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.logs.models import LogsBackend
from moto.logs.responses import LogsResponse

from rehearsal.emulated_aws.extension import add, extend

_TEXT = re.compile(r'"([^"]+)"')
_FIELDS = re.compile(r"\{ (.+) \}")
_FIELD = re.compile(r'\$\.(\w+) = "([^"]*)"')
MILLISECONDS = 1000
_QUERIES = "fleet_query_definitions"  # on moto's backend: a reset of moto forgets them with everything else


@dataclass(frozen=True)
class Pattern:
    """A filter pattern: a text that a line holds, or fields of a JSON object with these values."""

    text: str | None
    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, pattern: str) -> Pattern | None:
        """Return the pattern, None when it is of a form that is not evaluated here."""
        text = _TEXT.fullmatch(pattern)
        if text:
            return cls(text[1])
        inside = _FIELDS.fullmatch(pattern)
        terms = [_FIELD.fullmatch(term) for term in inside[1].split(" && ")] if inside else []
        found = tuple((term[1], term[2]) for term in terms if term)
        return cls(None, found) if terms and len(found) == len(terms) else None

    def matches(self, line: str) -> bool:
        """Whether a line is one that the filter counts."""
        if self.text is not None:
            return self.text in line
        try:
            found = json.loads(line)
        except ValueError:
            return False
        return isinstance(found, dict) and all(found.get(name) == value for name, value in self.fields)


def _put_metric_filter(
    self: LogsBackend, filter_name: str, filter_pattern: str, log_group_name: str, metric_transformations: str
) -> None:
    if log_group_name not in self.groups:
        raise ResourceNotFoundException
    if Pattern.parse(filter_pattern) is None:
        raise InvalidParameterException("the emulated AWS evaluates this form", "filterPattern", filter_pattern)
    self.filters.delete_filter(filter_name, log_group_name)
    self.filters.add_filter(filter_name, filter_pattern, log_group_name, metric_transformations)


_store_events = LogsBackend.put_log_events


def _put_log_events(
    self: LogsBackend, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
) -> Any:  # noqa: ANN401 - what moto answers
    answer = _store_events(self, log_group_name, log_stream_name, log_events)
    for found in self.filters.get_matching_filters(log_group_name=log_group_name):
        pattern = Pattern.parse(found["filterPattern"])
        for event in log_events:
            if pattern and pattern.matches(event["message"]):
                _count(self, found["metricTransformations"], event["timestamp"] / MILLISECONDS)
    return answer


def _count(backend: LogsBackend, transformations: list[dict[str, Any]], seconds: float) -> None:
    metrics = cloudwatch_backends[backend.account_id][backend.region_name]
    for one in transformations:
        when = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)  # as moto keeps times
        datum = {"MetricName": one["metricName"], "Value": float(one["metricValue"]), "Timestamp": when}
        metrics.put_metric_data(one["metricNamespace"], [datum | {"Unit": one.get("unit", "None")}])


def _queries(response: LogsResponse) -> dict[str, dict[str, Any]]:
    backend = response.logs_backend
    if not hasattr(backend, _QUERIES):
        setattr(backend, _QUERIES, {})
    found: dict[str, dict[str, Any]] = getattr(backend, _QUERIES)
    return found


def _put_query_definition(self: LogsResponse) -> str:
    identifier = self._get_param("queryDefinitionId") or str(uuid4())
    _queries(self)[identifier] = {
        "queryDefinitionId": identifier,
        "name": self._get_param("name"),
        "queryString": self._get_param("queryString"),
        "logGroupNames": self._get_param("logGroupNames") or [],
        "lastModified": int(datetime.now(UTC).timestamp() * MILLISECONDS),
    }
    return json.dumps({"queryDefinitionId": identifier})


def _describe_query_definitions(self: LogsResponse) -> str:
    prefix = self._get_param("queryDefinitionNamePrefix") or ""
    found = [query for query in _queries(self).values() if query["name"].startswith(prefix)]
    return json.dumps({"queryDefinitions": sorted(found, key=lambda query: str(query["name"]))})


def _delete_query_definition(self: LogsResponse) -> str:
    known = _queries(self).pop(self._get_param("queryDefinitionId"), None)
    if known is None:
        raise ResourceNotFoundException
    return json.dumps({"success": True})


def install() -> None:
    """Give moto saved queries, and let metric filters count what comes in."""
    extend(LogsBackend, "put_metric_filter", _put_metric_filter)
    extend(LogsBackend, "put_log_events", _put_log_events)
    add(LogsResponse, "put_query_definition", _put_query_definition)
    add(LogsResponse, "describe_query_definitions", _describe_query_definitions)
    add(LogsResponse, "delete_query_definition", _delete_query_definition)
