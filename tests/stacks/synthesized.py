"""Synthesize environments and read what came out, as Terraform would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from cdktf import App

from settings.load import load_settings
from stacks.app import build_app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENTS = tuple(sorted(path.stem for path in (REPOSITORY / "environments").glob("*.toml")))


@dataclass(frozen=True)
class Resource:
    """One resource of one stack."""

    stack: str
    kind: str
    name: str
    body: Mapping[str, Any]

    @property
    def address(self) -> str:
        return f"{self.stack}: {self.kind}.{self.name}"


@dataclass(frozen=True)
class Synthesized:
    """The stacks of one environment as parsed JSON."""

    folder: Path
    stacks: Mapping[str, Mapping[str, Any]]

    def resources(self, *kinds: str) -> Iterator[Resource]:
        for stack, document in self.stacks.items():
            for kind, named in document.get("resource", {}).items():
                if not kinds or kind in kinds:
                    yield from (Resource(stack, kind, name, body) for name, body in named.items())

    def one(self, kind: str) -> Resource:
        (resource,) = self.resources(kind)
        return resource


def read(folder: Path) -> Synthesized:
    found = sorted((folder / "stacks").glob("*/cdk.tf.json"))
    return Synthesized(folder, {path.parent.name: json.loads(path.read_text()) for path in found})


def synthesize(path: Path, overrides: Mapping[str, object] | None = None) -> Synthesized:
    folder = Path(mkdtemp(prefix="synth-"))
    app = App(outdir=str(folder))
    build_app(app, load_settings(path, overrides or {}))
    app.synth()
    return read(folder)


@cache
def environment(name: str) -> Synthesized:
    """One synth per environment and test run."""
    return synthesize(REPOSITORY / "environments" / f"{name}.toml")
