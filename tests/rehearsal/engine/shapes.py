"""Structure of answers, without their values: what the conformance test compares."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

Json = Any  # whatever json.loads gives

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def differences(where: str, real: Json, emulated: Json, allowed: frozenset[str] = frozenset()) -> list[str]:
    """Paths at which keys or types differ; `allowed` holds keys, or paths ending in them, that may."""
    if isinstance(real, dict) and isinstance(emulated, dict):
        found = []
        for key in sorted(real.keys() | emulated.keys()):
            path = f"{where}.{key}"
            if key in allowed or any(path.endswith(item) for item in allowed if "." in item):
                continue
            if key not in emulated or key not in real:
                found.append(f"{path}: only the {'real' if key in real else 'emulated'} one has it")
            else:
                found += differences(path, real[key], emulated[key], allowed)
        return found
    if isinstance(real, list) and isinstance(emulated, list):
        if not real or not emulated:
            return [] if real == emulated else [f"{where}: one list is empty: {real!r}, {emulated!r}"]
        return differences(f"{where}[0]", real[0], emulated[0], allowed)
    if type(real) is not type(emulated):
        return [f"{where}: real {real!r:.60}, emulated {emulated!r:.60}"]
    return []


def events(text: str) -> list[Any]:
    """The events of a stream: JSON values, or "[DONE]"; anything but `data: …` and blank lines is kept as it is."""
    found: list[Any] = []
    for block in text.split("\n\n"):
        payload = block.removeprefix("data: ")
        if block and (payload in {block, "[DONE]"} or "\n" in payload):
            found.append(payload)
        elif block:
            found.append(json.loads(payload))
    return found


def event_kind(event: Json) -> str:
    """Which part an event plays in its stream."""
    if not isinstance(event, dict):
        return str(event)
    if "error" in event:
        return "error"
    if "meta_info" in event:
        return f"native {(event['meta_info']['finish_reason'] or {}).get('type')}"
    if not event["choices"]:
        return "usage"
    choice = event["choices"][0]
    role = " role" if "role" in choice.get("delta", {}) else ""
    usage = " counted" if event.get("usage") else ""
    return f"chunk{role}{usage} {choice['finish_reason']}"


def by_kind(stream: list[Any]) -> dict[str, Any]:
    """The kinds of events in order of their first appearance, each with its last example."""
    return {event_kind(event): event for event in stream}


@dataclass(frozen=True)
class Family:
    """One metric: its type, the label names of its samples, its histogram bounds."""

    type: str
    labels: frozenset[frozenset[str]]
    buckets: frozenset[str]


def families(exposition: str) -> dict[str, Family]:
    """The metrics of a Prometheus exposition that have samples."""
    types: dict[str, str] = {}
    labels: dict[str, set[frozenset[str]]] = {}
    buckets: dict[str, set[str]] = {}
    for line in exposition.splitlines():
        if line.startswith("# TYPE"):
            name, kind = line.split()[2:4]
            types[name] = kind
        elif match := SAMPLE.match(line):
            base = re.sub("_(bucket|sum|count)$", "", match[1])
            name = match[1] if match[1] in types else base
            pairs = dict(LABEL.findall(match[2] or ""))
            if "le" in pairs and types.get(name) == "histogram":
                buckets.setdefault(name, set()).add(str(float(pairs.pop("le"))))
            labels.setdefault(name, set()).add(frozenset(pairs))
    return {
        name: Family(types[name], frozenset(found), frozenset(buckets.get(name, ()))) for name, found in labels.items()
    }
