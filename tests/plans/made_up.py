"""Saved plans of real Terraform (fixtures), and small plans made up for one rule each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from plans.change import StackPlan
from plans.consequences import consequences_of
from plans.terraform_json import read_plan

FOLDER = Path(__file__).parent
FIXTURES = FOLDER / "fixtures"
CASES = tuple(sorted(path.name for path in FIXTURES.iterdir()))


def saved(case: str) -> tuple[StackPlan, ...]:
    return tuple(read_plan(file.read_bytes(), file.stem) for file in sorted((FIXTURES / case).glob("*.json")))


def document(stack: str, *changes: dict[str, Any], outputs: dict[str, Any] | None = None) -> dict[str, Any]:
    tags = {"sglang-fleet:deployment": "made-up", "sglang-fleet:stack": stack}
    provider = {
        "expressions": {"region": {"constant_value": "eu-west-1"}, "default_tags": [{"tags": {"constant_value": tags}}]}
    }
    return {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "resource_changes": list(changes),
        "output_changes": outputs or {},
        "configuration": {"provider_config": {"aws": provider}},
    }


def change(kind: str, *actions: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    delta = {"actions": list(actions), "before": before, "after": after, **more}
    return {"address": f"{kind}.it", "mode": "managed", "type": kind, "name": "it", "change": delta}


def plan(stack: str, *changes: dict[str, Any], outputs: dict[str, Any] | None = None) -> StackPlan:
    return read_plan(json.dumps(document(stack, *changes, outputs=outputs)), "made up")


def said(stack: str, *changes: dict[str, Any], outputs: dict[str, Any] | None = None) -> list[str]:
    """`weight: text` of every consequence."""
    return [f"{item.weight}: {item.text}" for item in consequences_of(plan(stack, *changes, outputs=outputs))]
