"""`python3 -m host.sbom FILE`: what is on the image, as CycloneDX 1.6 JSON (ECMA-424).

Two bakes of one content key write the same bytes as long as they install the same packages: no time, no random number
(the serial number comes from the content key), everything sorted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from . import components, gpu_driver
from .components import Component, properties
from .facts import AGENT_HOME, BAKE_DIRECTORY, ENGINE_HOME, Bake, load_bake
from .model import folder_of
from .report import run_step, say

PHASE: Final = "sbom"
# Of this project's documents; made once at random, so that it means nothing else.
NAMESPACE: Final = uuid.UUID("92e147a5-3e27-4a0b-aa4c-761d353d5936")
ENVIRONMENTS: Final = (AGENT_HOME / "venv", ENGINE_HOME / "venv")
SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def document(bake: Bake, parts: Iterable[Component]) -> dict[str, Any]:
    """The whole document."""
    told = [("role", bake.role), ("architecture", bake.architecture), ("content-key", bake.content_key)]
    image = {
        "type": "platform",
        "bom-ref": f"sglang-fleet-{bake.role}",
        "name": f"sglang-fleet-{bake.role}",
        "version": bake.content_key,
        "properties": properties(told),
    }
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, bake.content_key)}",
        "version": 1,
        "metadata": {"component": image},
        "components": sorted(parts, key=lambda part: (part["type"], part["bom-ref"])),
    }


def collect(bake: Bake) -> Iterator[Component]:
    """Everything on this host."""
    lock = components.lock_hashes(BAKE_DIRECTORY / "Pipfile.lock")
    for environment in ENVIRONMENTS:
        yield from components.distributions(environment, lock)
    distribution = components.distribution_of(Path("/etc/os-release").read_text())
    yield from components.debian_packages(components.installed_packages(), distribution)
    yield from _driver()
    if bake.model is not None:
        yield components.model_component(bake.model, folder_of(bake.model))


def _driver() -> Iterator[Component]:
    version = gpu_driver.installed()
    if version is not None:
        command = ["modinfo", "--field", "filename", "nvidia"]
        module = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        yield components.driver(version, Path(module))


def step() -> None:
    """Write the document."""
    bake = load_bake()
    target = Path(sys.argv[1])
    whole = document(bake, collect(bake))
    target.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
    target.chmod(0o644)
    say(f"{target}: {len(whole['components'])} components")


if __name__ == "__main__":
    sys.exit(run_step(PHASE, step))
