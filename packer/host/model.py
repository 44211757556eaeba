"""The model's files on the image: are all there, and is each what its commit says?"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .facts import MODELS_DIRECTORY, Model, ModelFile

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST: Final = ".sglang-fleet-files.json"
"""Beside the model's files: what they are, with the SHA-256 of every one."""

READERS: Final = 4  # hashlib lets go of the interpreter lock; EBS answers several readers faster than one


@dataclass(frozen=True)
class Wrong:
    """A file that is not as it should be."""

    path: str
    found: str
    is_spoilt: bool = False
    """It is there with other content: what must be removed before it is fetched again."""


@dataclass(frozen=True)
class Checked:
    """What reading every file gave."""

    wrong: tuple[Wrong, ...]
    sha256: dict[str, str]
    """By path, of the files that are right."""


def folder_of(model: Model, models: Path = MODELS_DIRECTORY) -> Path:
    """Where the model is on the image."""
    return models / model.directory


def check_files(model: Model, folder: Path) -> Checked:
    """Read every file of the model and compare it with its commit; name files that do not belong there, too."""
    with ThreadPoolExecutor(READERS) as pool:
        results = list(pool.map(lambda file: _check(file, folder), model.files))
    wrong = [result for result in results if isinstance(result, Wrong)]
    right = {
        file.path: result for file, result in zip(model.files, results, strict=True) if not isinstance(result, Wrong)
    }
    return Checked((*wrong, *_strangers(model, folder)), right)


def _check(file: ModelFile, folder: Path) -> str | Wrong:
    path = folder / file.path
    if not path.is_file():
        return Wrong(file.path, "missing")
    size = path.stat().st_size
    if size != file.size:
        return Wrong(file.path, f"{size} bytes instead of {file.size}", is_spoilt=True)
    sha256 = sha256_of(path)
    if file.sha256 is not None:
        wrong = "" if sha256 == file.sha256 else f"SHA-256 is {sha256}, and {file.sha256} in the commit"
    elif file.git_blob is not None:
        blob = git_blob_of(path)
        wrong = "" if blob == file.git_blob else f"git blob id is {blob}, and {file.git_blob} in the commit"
    else:
        return Wrong(file.path, "bake.json has no hash to compare with")
    return Wrong(file.path, wrong, is_spoilt=True) if wrong else sha256


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def git_blob_of(path: Path) -> str:
    """The id that git gives a file's content. Only small files have no SHA-256 in the hub's listing."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _strangers(model: Model, folder: Path) -> Iterator[Wrong]:
    expected = {file.path for file in model.files} | {MANIFEST}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in expected:
            yield Wrong(name, "not a file of the model")


def write_manifest(model: Model, folder: Path, sha256: dict[str, str]) -> None:
    """Write what was checked: the SBOM is made from it, and a host's files can be checked against it later."""
    files = {file.path: {"size": file.size, "sha256": sha256[file.path]} for file in model.files}
    data = {"model": model.id, "revision": model.revision, "files": files}
    (folder / MANIFEST).write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
