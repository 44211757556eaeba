"""What `--dry-run` prints of metrics: one JSON object a line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from user_data.agent.distribution import Distribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from user_data.agent.datum import Value
    from user_data.metrics import Metric


def print_values(values: Mapping[Metric, Value], fields: Mapping[str, str | float]) -> None:
    """Print each value that would be published, with `fields` beside it."""
    for metric, value in values.items():
        shown = {f"{key:g}": count for key, count in value.counts.items()} if isinstance(value, Distribution) else value
        _print({"action": "publish", "metric": metric.name, "value": shown, **fields})


def print_nothing(reason: str) -> None:
    """Print why nothing would be published."""
    _print({"action": "publish_nothing", "reason": reason})


def _print(fields: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
