"""PutQueryDefinition, DescribeQueryDefinitions and DeleteQueryDefinition: saved queries of CloudWatch Logs Insights.

What moto 5.2.5 does instead: it raises NotImplementedError. The queries are kept, not run.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse

from rehearsal.emulated_aws.extension import add
from rehearsal.emulated_aws.scaling_groups import WORLD

FIELDS = ("name", "queryString", "logGroupNames", "queryLanguage")


def _kept(response: LogsResponse) -> dict[str, dict[str, Any]]:
    backend = response.logs_backend
    found: dict[str, dict[str, Any]] | None = getattr(backend, "rehearsal_queries", None)
    if found is None:
        found = {}
        setattr(backend, "rehearsal_queries", found)  # noqa: B010 - moto's class does not declare it
    return found


def _put(self: LogsResponse) -> str:
    """API_PutQueryDefinition.html: with an id it updates, without one it creates."""
    identifier = self._get_param("queryDefinitionId")
    kept = _kept(self)
    if identifier and identifier not in kept:
        raise ResourceNotFoundException("The specified query definition does not exist.")
    identifier = identifier or str(uuid.uuid4())
    given = {name: self._get_param(name) for name in FIELDS}
    kept[identifier] = {
        "queryDefinitionId": identifier,
        "lastModified": int(WORLD.clock.now().timestamp() * 1000),
        **{name: value for name, value in given.items() if value is not None},
    }
    return json.dumps({"queryDefinitionId": identifier})


def _describe(self: LogsResponse) -> str:
    prefix = self._get_param("queryDefinitionNamePrefix") or ""
    found = [query for query in _kept(self).values() if str(query["name"]).startswith(prefix)]
    return json.dumps({"queryDefinitions": sorted(found, key=lambda query: str(query["name"]))})


def _delete(self: LogsResponse) -> str:
    if _kept(self).pop(self._get_param("queryDefinitionId"), None) is None:
        raise ResourceNotFoundException("The specified query definition does not exist.")
    return json.dumps({"success": True})


def install() -> None:
    """Give moto these calls."""
    add(LogsResponse, "put_query_definition", _put)
    add(LogsResponse, "describe_query_definitions", _describe)
    add(LogsResponse, "delete_query_definition", _delete)
