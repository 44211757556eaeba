"""Everything that shapes one image, apart from the files that come from this repository."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from packer.hub import Model
    from packer.site import Role
    from settings.catalogue import Architecture

# Categories of Pipfile.lock that an image of each role is made from, besides the engine's own.
ROUTER_CATEGORIES: Final = ("router",)
AGENT_CATEGORY, FETCH_CATEGORY = "agent", "model"


@dataclass(frozen=True)
class Engine:
    """The SGLang release on a worker's image, and the category of the lock that pins it."""

    category: str
    version: str


@dataclass(frozen=True)
class Recipe:
    """What an image is made from. `conditions` are variables of the provision scripts that change what they do."""

    role: Role
    architecture: Architecture
    base_image: str
    root_gib: int
    model_gib: int = 0
    engine: Engine | None = None
    model: Model | None = None
    conditions: tuple[tuple[str, str], ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories of the lock that are installed."""
        return (AGENT_CATEGORY, self.engine.category, FETCH_CATEGORY) if self.engine else ROUTER_CATEGORIES

    def spelled(self) -> bytes:
        """One spelling for the content key: the same for equal recipes, whoever may read the model today."""
        told = dataclasses.asdict(self)
        if self.model:
            del told["model"]["restricted"]
        return json.dumps(told, sort_keys=True).encode()

    def describe(self, key: str, hub_url: str) -> bytes:
        """The bake host's `bake.json`."""
        model = self.model and {
            "id": self.model.model_id,
            "revision": self.model.revision,
            "directory": self.model.directory,
            "files": [dataclasses.asdict(file) for file in self.model.files],
        }
        told = {
            "role": self.role,
            "architecture": self.architecture,
            "content_key": key,
            "engine_category": self.engine and self.engine.category,
            "engine_version": self.engine and self.engine.version,
            "model": model,
            "hub_url": hub_url,
        }
        return json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"
