"""The summary as data, for other programs. `version` rises when a member changes its meaning or goes."""

from __future__ import annotations

import json

from plans.change import Change, Json, StackPlan
from plans.consequence import Consequence
from plans.summary import Summary

VERSION = 1


def as_json(summary: Summary) -> str:
    """Render a summary as one JSON document."""
    document: dict[str, Json] = {
        "version": VERSION,
        "title": summary.title,
        "exit_code": int(summary.exit_code),
        "verdict": summary.verdict,
        "notes": list(summary.notes),
        "problems": [{"where": problem.where, "text": problem.text} for problem in summary.problems],
        "stacks": [_stack(plan) for plan in summary.plans],
        "consequences": [_consequence(summary, item) for item in summary.consequences],
        "sections": {section.title: dict(section.render_json()) for section in summary.sections},
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _stack(plan: StackPlan) -> Json:
    return {
        "stack": plan.stack,
        "deployment": plan.deployment,
        "region": plan.region,
        "new": plan.is_new,
        "on_placeholders": plan.on_placeholders,
        "unchanged": plan.unchanged,
        "changes": [_change(change) for change in plan.changes],
        "outputs": [output.name for output in plan.outputs],
        "drifted": [change.address for change in plan.drifted],
    }


def _change(change: Change) -> Json:
    return {
        "address": change.address,
        "type": change.kind,
        "action": str(change.action),
        "changed": list(change.changed),
        "forced_by": list(change.forced_by),
    }


def _consequence(summary: Summary, item: Consequence) -> Json:
    return {
        "stack": item.stack,
        "weight": str(item.weight),
        "text": item.text,
        "allowed": not summary.stops(item),
        "addresses": list(item.addresses),
    }
