"""The CloudWatch dashboard: what AWS itself publishes of the groups, and the newest warnings of their hosts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacks.logs import PoolOnDashboard

GROUP_METRICS = (
    "GroupInServiceInstances",
    "GroupDesiredCapacity",
    "GroupPendingInstances",
    "GroupTerminatingInstances",
)
PROBLEMS = (
    "fields @timestamp, @logStream, @message",
    "filter level in ['WARNING', 'ERROR']",
    "sort @timestamp desc",
    "limit 50",
)
WIDTH = 12  # half of the 24 columns of a dashboard
HEIGHT = 6


@dataclass(frozen=True)
class _Widget:
    kind: str
    properties: dict[str, Any]

    def placed(self, index: int) -> dict[str, Any]:
        column, row = index % 2, index // 2
        place = {"x": column * WIDTH, "y": row * HEIGHT, "width": WIDTH, "height": HEIGHT}
        return {"type": self.kind, **place, "properties": self.properties}


def _capacity(region: str, pool: PoolOnDashboard) -> _Widget:
    metrics = [["AWS/AutoScaling", metric, "AutoScalingGroupName", pool.auto_scaling_group] for metric in GROUP_METRICS]
    title = f"{pool.name}: workers"
    return _Widget("metric", {"title": title, "region": region, "view": "timeSeries", "period": 60, "metrics": metrics})


def _problems(region: str, pool: PoolOnDashboard) -> _Widget:
    query = " | ".join((f"SOURCE '{pool.log_group}'", *PROBLEMS))
    properties = {"title": f"{pool.name}: warnings", "region": region, "view": "table", "query": query}
    return _Widget("log", properties)


def dashboard_body(region: str, pools: tuple[PoolOnDashboard, ...]) -> str:
    """The dashboard's JSON: one row per pool, its capacity beside its latest warnings."""
    widgets = [widget(region, pool) for pool in pools for widget in (_capacity, _problems)]
    return json.dumps({"widgets": [widget.placed(index) for index, widget in enumerate(widgets)]}, sort_keys=True)
