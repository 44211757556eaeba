"""What this bake is for: `bake.json`, as the operator's side wrote it, and places on the image."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BAKE_DIRECTORY: Final = Path(os.environ.get("BAKE_DIR", "/tmp/sglang-fleet-bake"))  # noqa: S108 - the contract's folder
BAKE_FILE: Final = BAKE_DIRECTORY / "bake.json"
# As in user_data/node_config.py, which needs pydantic; a test compares them.
AGENT_HOME: Final = Path("/opt/sglang-fleet")
ENGINE_HOME: Final = Path("/opt/sglang")
MODELS_DIRECTORY: Final = ENGINE_HOME / "models"
SERVICE_USER: Final = "sglang-fleet"

WORKER: Final = "worker"
ENGINE_FROM_LOCK: Final = "lock"
"""ENGINE_INSTALL for the real engine; any other value is a folder that stands for it."""


@dataclass(frozen=True)
class ModelFile:
    """One file of the model's commit: SHA-256 for what the hub keeps in LFS, git's blob id for the small ones."""

    path: str
    size: int
    sha256: str | None
    git_blob: str | None


@dataclass(frozen=True)
class Model:
    """The model of a worker's image, pinned to a commit."""

    id: str
    revision: str
    directory: str
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Bake:
    """One bake."""

    role: str
    architecture: str
    content_key: str
    engine_category: str | None
    engine_version: str | None
    model: Model | None
    hub_url: str

    @property
    def is_worker(self) -> bool:
        """Whether the image is for workers."""
        return self.role == WORKER


def load_bake(path: Path = BAKE_FILE) -> Bake:
    """Read `bake.json`. A key too many or too few is an error: both sides are of one release."""
    data: dict[str, Any] = json.loads(path.read_text())
    model = data.pop("model")
    return Bake(model=None if model is None else _model(model), **data)


def _model(data: dict[str, Any]) -> Model:
    files = tuple(ModelFile(**file) for file in data.pop("files"))
    return Model(files=files, **data)
