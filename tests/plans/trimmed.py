"""Make a fixture of a plan: what the summary reads stays as Terraform wrote it, the rest goes."""

from __future__ import annotations

import json
from typing import Any

KEPT = ("format_version", "terraform_version", "output_changes")
LONGEST = 120
# Encoded and long, and named by the summary only as changed.
ENCODED = frozenset({"user_data", "user_data_base64", "dashboard_body", "query_string", "policy", "assume_role_policy"})

# What a bill is counted from is kept even where nothing changes.
PRICED = frozenset(
    {
        "aws_autoscaling_group",
        "aws_autoscaling_policy",
        "aws_autoscaling_schedule",
        "aws_cloudwatch_dashboard",
        "aws_cloudwatch_log_group",
        "aws_cloudwatch_metric_alarm",
        "aws_eip",
        "aws_flow_log",
        "aws_instance",
        "aws_launch_template",
        "aws_lb",
        "aws_nat_gateway",
        "aws_subnet",
        "aws_vpc_endpoint",
    }
)


def trimmed(text: str | bytes) -> str:
    document: dict[str, Any] = json.loads(text)
    kept = {name: document[name] for name in KEPT if name in document}
    kept["resource_changes"] = [change(item) for item in document.get("resource_changes", [])]
    provider = document["configuration"]["provider_config"]["aws"]
    kept["configuration"] = {"provider_config": {"aws": provider}}
    return json.dumps(kept, indent=1, sort_keys=True) + "\n"


def change(item: dict[str, Any]) -> dict[str, Any]:
    delta = {name: value for name, value in item["change"].items() if value not in (None, {}, [], False)}
    if delta["actions"] == ["no-op"] and item["type"] not in PRICED:
        delta = {"actions": ["no-op"]}
    for side in ("before", "after"):
        if side in delta:
            delta[side] = {name: short(name, value) for name, value in delta[side].items() if value not in (None, [])}
    kept = {name: item[name] for name in ("address", "mode", "type")}
    return {**kept, "change": delta}


def short(name: str, value: Any) -> Any:
    """A long encoded text by its ends, so that another text is still another."""
    if name in ENCODED and isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:20]}…{len(value)}…{value[-80:]}"
    return value
