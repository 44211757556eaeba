"""`fleet bake` as an operator runs it, and what it says in JSON when it is done."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter


class Run(Protocol):
    """Runs a command in the tools' environment; raises StepFailedError when it fails."""

    def __call__(self, name: str, command: list[str], log: Path, on_line: Callable[[str], None]) -> None:
        """Run it to its end."""


class BakedStack(BaseModel):
    """What `fleet bake --json` says of one stack's image; the keys that a rehearsal looks at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stack: str
    role: str
    parameter: str
    key: str
    image: str
    action: str
    recorded: bool
    log: Path | None
    sbom: Path | None


@dataclass(frozen=True)
class Baked:
    """One run of `fleet bake`."""

    stacks: tuple[BakedStack, ...]
    seconds: float
    processor_seconds: float


def read_result(lines: Sequence[str]) -> tuple[BakedStack, ...]:
    """The JSON among what was printed: standard error goes to the same log, before it and after it.

    Raises:
        ValueError: there is none.
    """
    start = next((number for number in reversed(range(len(lines))) if lines[number] == "{\n"), None)
    if start is None:
        raise ValueError("fleet bake printed no result")
    document: dict[str, Any] = json.JSONDecoder().raw_decode("".join(lines[start:]))[0]
    return TypeAdapter(tuple[BakedStack, ...]).validate_python(document["images"])


def fleet_bake(run: Run, site: Path, environment: Path, log: Path, on_line: Callable[[str], None]) -> Baked:
    """Bake the images of every stack.

    Raises:
        StepFailedError: it failed.
    """
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        on_line(line)

    command = [sys.executable, "-m", "fleet", "bake", "--json", "--site", str(site), "--environment", str(environment)]
    begun, used = time.monotonic(), _processor_seconds()
    run("fleet bake", command, log, take)
    return Baked(read_result(lines), time.monotonic() - begun, _processor_seconds() - used)


def _processor_seconds() -> float:
    """Of the programs that this process has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
