"""What a rehearsal was asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.cloud_config import EngineKind
from rehearsal.places import REPOSITORY, WorkFolder, default_work_folder
from rehearsal.scenarios.pace import PaceName

ENVIRONMENT = REPOSITORY / "environments" / "rehearsal.toml"
MINIMUM_REQUESTS = 2  # one plain, one streamed


@dataclass(frozen=True)
class Options:
    """Options of `fleet rehearse`."""

    environment: Path = ENVIRONMENT
    overrides: Mapping[str, object] = field(default_factory=dict)
    engine: EngineKind = "emulator"
    workers: int | None = None
    requests: int = 20
    keep: bool = False
    as_json: bool = False
    bake: bool = False
    """Whether images are baked for the deployment (the scenario `bake`), and not put together."""
    scenarios: tuple[str, ...] = ()
    """Names of scenarios to play once the deployment serves."""
    pace: PaceName = "full"
    work: WorkFolder = field(default_factory=default_work_folder)
