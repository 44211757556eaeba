"""The router's worker list (smg's file discovery): what is in it, reading it, replacing it.

Format of smg 1.13.0: `{"version": 1, "workers": [{"id", "url", "model_id"?}]}`; it rejects unknown fields. `model_id`
is left out on purpose: given, it replaces the name that the engine itself reports at /v1/models, and only that name is
then routed; left out, the router learns the name from the engine, whose `--served-model-name` comes from NodeConfig.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from user_data.agent.host import write_atomically

if TYPE_CHECKING:
    from pathlib import Path


class ManifestError(ValueError):
    """The manifest on the disk is not one."""


class Entry(BaseModel):
    """One worker that the router sends requests to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    url: str


class Manifest(BaseModel):
    """The whole list, sorted by id so that equal fleets are equal files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    workers: tuple[Entry, ...] = ()


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest at `path`, or None when there is none yet.

    Raises:
        ManifestError: there is a file that is no manifest.
        OSError: there is a file that cannot be read.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ManifestError(f"{path}: {error.error_count()} fault(s), the first: {error.errors()[0]['msg']}") from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace the manifest as a whole; smg sees the change through inotify and settles for 0.2 s.

    Raises:
        OSError: it cannot be written; the old one is unchanged.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_atomically(path, manifest.model_dump_json(indent=1) + "\n")
