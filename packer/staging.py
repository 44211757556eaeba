"""The folder that is uploaded to a bake host, and what of this repository goes into an image's content key.

Both come from the same files, so nothing gets onto an image that its key does not know of.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packer.recipe import Recipe

# What of user_data/ is installed on hosts; the rest writes user data on the operator's computer.
ON_HOST: Final = (
    "__init__.py",
    "agent",
    "bin",
    "boot.sh",
    "logrotate.d",
    "metrics.py",
    "node_config.py",
    "systemd",
    "sysusers.d",
    "tmpfiles.d",
)
# Declares where Packer gets its plugin from. It is left out for old Packers, and must not make their keys differ.
PLUGINS_FILE: Final = "plugins.pkr.hcl"
TEMPLATE_SUFFIX: Final = ".pkr.hcl"
BAKE_FILE: Final = "bake.json"
LOCK_FILE: Final = "Pipfile.lock"
# 1980-01-01, the oldest time that every archive format can hold.
FIXED_TIME: Final = 315532800


@dataclass(frozen=True)
class StagedFile:
    """One file's content and whether it is a program."""

    content: bytes
    executable: bool = False


Files = dict[str, StagedFile]


def staged_files(repository: Path, recipe: Recipe) -> Files:
    """Everything that the bake host gets of this repository for a recipe, by path."""
    lock = lock_of((repository / LOCK_FILE).read_bytes(), recipe.categories)
    programs = {f"user_data/{name}": file for name, file in _chosen(repository / "user_data", ON_HOST)}
    own = dict(_chosen(repository / "packer", ("host", "provision")))
    installer = _read(repository / "scripts" / "venv_from_lock.py")
    return {LOCK_FILE: StagedFile(lock), "venv_from_lock.py": installer, **programs, **own}


def shaping_parts(repository: Path, recipe: Recipe, staged: Mapping[str, StagedFile]) -> dict[str, bytes]:
    """What the content key of an image is made from."""
    template = {path.name: path.read_bytes() for path in template_files(repository) if path.name != PLUGINS_FILE}
    files = {f"staged {'program' if file.executable else 'file'} {name}": file.content for name, file in staged.items()}
    return {"recipe": recipe.spelled(), **files, **{f"template {name}": text for name, text in template.items()}}


def template_files(repository: Path) -> tuple[Path, ...]:
    """The HCL files of the template."""
    return tuple(sorted((repository / "packer").glob(f"*{TEMPLATE_SUFFIX}")))


def lock_of(lock: bytes, categories: Iterable[str]) -> bytes:
    """The lock with these categories only: a router's image does not change with the engine's pins."""
    whole = json.loads(lock)
    kept = {category: whole[category] for category in categories}
    return json.dumps({"_meta": {"sources": []}, **kept}, indent=1, sort_keys=True).encode() + b"\n"


def write_staging(files: Mapping[str, StagedFile], folder: Path) -> None:
    """Write files so that two runs write the same bytes, modes and times."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name].content)
        path.chmod(0o755 if files[name].executable else 0o644)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (FIXED_TIME, FIXED_TIME))


def _chosen(root: Path, names: Iterable[str]) -> Iterator[tuple[str, StagedFile]]:
    for name in names:
        top = root / name
        for path in (top,) if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not any(map(_is_clutter, path.relative_to(root).parts)):
                yield path.relative_to(root).as_posix(), _read(path)


def _is_clutter(name: str) -> bool:
    """Caches of Python and what editors leave."""
    return name == "__pycache__" or name.startswith(".") or name.endswith((".pyc", "~", ".swp", ".orig", ".rej"))


def _read(path: Path) -> StagedFile:
    return StagedFile(path.read_bytes(), os.access(path, os.X_OK))
