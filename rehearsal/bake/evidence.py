"""What images and machines hold, read from their files: equal or not, secret or not, listed or not."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.bake.hub_repository import Repository
from user_data.node_config import AGENT_HOME, ENGINE_HOME, MODELS_DIRECTORY

CHUNK = 1 << 20
# What a machine runs from its image. Logs, caches and configuration are its own.
RUN_FROM = (
    f"{AGENT_HOME}/bin",
    f"{AGENT_HOME}/lib",
    f"{AGENT_HOME}/venv",
    f"{ENGINE_HOME}/venv",
    f"{ENGINE_HOME}/emulator/source",
    MODELS_DIRECTORY,
    "/etc/systemd/system",
)


def digest(path: Path) -> str:
    """Of a file's content, or of where a link leads."""
    if path.is_symlink():
        return f"-> {path.readlink()}"
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder, in order."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in sorted([*names, *links]))


@dataclass(frozen=True)
class Comparison:
    """Files of an image beside those of a machine."""

    equal: int
    different: tuple[str, ...]


def compare(image: Path, root: Path, folders: Iterable[str] = RUN_FROM) -> Comparison:
    """Look whether a machine has every file of its image as the image has it. It may have more."""
    equal, different = 0, []
    for folder in folders:
        for path in files_below(image / folder.lstrip("/")):
            name = path.relative_to(image)
            there = root / name
            if os.path.lexists(there) and digest(there) == digest(path):
                equal += 1
            else:
                different.append(str(name))
    return Comparison(equal, tuple(different))


def holders(folders: Iterable[Path], text: str) -> tuple[Path, ...]:
    """Files that contain a text, whatever they are."""
    needle = text.encode()
    regular = (path for folder in folders for path in files_below(folder) if path.is_file() and not path.is_symlink())
    return tuple(path for path in regular if _contains(path, needle))


def _contains(path: Path, needle: bytes) -> bool:
    kept = b""
    with path.open("rb") as content:
        while chunk := content.read(CHUNK):
            if needle in kept + chunk:
                return True
            kept = chunk[-len(needle) :]
    return False


@dataclass(frozen=True)
class BillOfMaterials:
    """A CycloneDX document, as far as it is looked at."""

    packages: int
    incomplete: tuple[str, ...]
    """Packages without a version or a hash."""
    model_files: Mapping[str, str]
    """File of the model → SHA-256."""


def _hashes(component: Mapping[str, Any]) -> dict[str, str]:
    return {entry["alg"]: entry["content"] for entry in component.get("hashes", ())}


def read_bill(document: Path) -> BillOfMaterials:
    """Read an image's SBOM."""
    components: list[dict[str, Any]] = json.loads(document.read_text())["components"]
    packages = [item for item in components if item["type"] == "library"]
    incomplete = tuple(item["name"] for item in packages if not item.get("version") or not _hashes(item))
    files = {
        file["name"]: _hashes(file)["SHA-256"]
        for item in components
        for file in item.get("components", ())
        if file["type"] == "file"
    }
    return BillOfMaterials(len(packages), incomplete, files)


def needed_of(model: Path) -> dict[str, str]:
    """What of the hub's model belongs on an image: the weights once, configuration and tokenizer → SHA-256."""
    left_behind = {"README.md", "pytorch_model.bin"}
    files = Repository("", model).files
    return {name: digest(file.path) for name, file in files.items() if name not in left_behind}
