"""A small repository, settings, models and images, made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packer.hub import Model
from packer.image import Image, ImageVolume
from packer.model_files import ModelFile
from packer.recipe import Recipe
from packer.site import BakeSite
from packer.targets import Need, Target, needs_of, recipe_of, targets_of
from settings.load import settings_from
from settings.naming import TAG_IMAGE_ARCHITECTURE, TAG_IMAGE_KEY, TAG_IMAGE_MODEL, TAG_IMAGE_ROLE

if TYPE_CHECKING:
    from pathlib import Path

    from settings.model import Settings

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BASE = "ami-00000000000000ba5"
COMMIT = "a" * 40
FILES = (ModelFile("config.json", 600, None, "d" * 40), ModelFile("model.safetensors", 5 * 1024**3, "c" * 64, None))
MODEL = Model("org/tiny", COMMIT, FILES)
TWO_POOLS: dict[str, Any] = {
    "workers": [
        {"name": "chat", "model_id": "org/tiny", "engine": {"context_length": 8192}},
        {"name": "batch", "model_id": "org/tiny", "instance_type": "g6e.2xlarge"},
    ]
}


def settings_of(**tables: Any) -> Settings:
    return settings_from(tables)


def repository(folder: Path) -> Path:
    """The files that a bake looks at, each with something in it."""
    section = {"boto3": {"version": "==1.0.0", "hashes": ["sha256:" + "0" * 64]}}
    lock = {"_meta": {"sources": []}, **dict.fromkeys(("default", "router", "agent", "worker", "model"), section)}
    files = {
        "Pipfile.lock": json.dumps(lock),
        "scripts/venv_from_lock.py": "print()\n",
        "user_data/__init__.py": "",
        "user_data/metrics.py": "M = 1\n",
        "user_data/node_config.py": "A = 1\n",
        "user_data/render.py": "B = 1\n",
        "user_data/boot.sh": "#!/bin/bash\n",
        "user_data/agent/worker.py": "C = 1\n",
        "user_data/bin/fleet-agent": "#!/bin/sh\n",
        "user_data/systemd/sglang-fleet-worker.service": "[Unit]\n",
        "packer/host/model.py": "D = 1\n",
        "packer/provision/05-base.sh": "echo PHASE base: packages\n",
        "packer/provision/90-validate.sh": "echo PHASE validate: all\n",
        "packer/image.pkr.hcl": "build {}\n",
        "packer/plugins.pkr.hcl": "packer {}\n",
        "packer/bake.py": "operator\n",
        "README.md": "read me\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "user_data/bin/fleet-agent").chmod(0o755)
    return folder


def recipes_of(settings: Settings, model: Model = MODEL, site: BakeSite | None = None) -> dict[str, Recipe]:
    site = site or BakeSite()
    return {need.stack: recipe_of(need, BASE, model if need.pool else None, site) for need in needs_of(settings)}


def made_targets(settings: Settings, folder: Path, needs: tuple[Need, ...] | None = None) -> tuple[Target, ...]:
    return targets_of(settings, recipes_of(settings), needs or needs_of(settings), folder)


WORKER_TAGS = {
    TAG_IMAGE_ROLE: "worker",
    TAG_IMAGE_KEY: "k",
    TAG_IMAGE_ARCHITECTURE: "x86_64",
    TAG_IMAGE_MODEL: "org/tiny",
}


def image(name: str = "ami-1", *, age_hours: float = 1, tags: dict[str, str] | None = None, **changes: Any) -> Image:
    created = datetime.fromtimestamp(NOW.timestamp() - age_hours * 3600, UTC)
    tags = WORKER_TAGS if tags is None else tags
    volumes = (ImageVolume("/dev/sda1", f"snap-{name}", 30),)
    made = Image(name, f"name-{name}", "available", "x86_64", created, tags, volumes, "/dev/sda1")
    return replace(made, **changes)
