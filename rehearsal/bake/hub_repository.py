"""What a model hub knows of a model: its files, their hashes as git and LFS have them, and the one commit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

LFS_SUFFIXES = frozenset({".safetensors", ".bin"})
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"


def git_blob(content: bytes) -> str:
    """Git's hash of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class HubFile:
    """One file of a repository."""

    name: str
    path: Path

    @cached_property
    def content(self) -> bytes:
        """What the file holds."""
        return self.path.read_bytes()

    @cached_property
    def sha256(self) -> str | None:
        """Of an LFS file; the others are known by git's hash."""
        return hashlib.sha256(self.content).hexdigest() if self.path.suffix in LFS_SUFFIXES else None

    @cached_property
    def pointer(self) -> bytes:
        """What git holds in place of an LFS file."""
        return POINTER.format(sha256=self.sha256, size=len(self.content)).encode()

    @cached_property
    def blob(self) -> str:
        """Git's hash: of the pointer for an LFS file."""
        return git_blob(self.content if self.sha256 is None else self.pointer)

    @property
    def etag(self) -> str:
        """How the hub marks the file's version."""
        return self.sha256 or self.blob

    def sibling(self) -> dict[str, Any]:
        """An entry of `siblings` with `blobs=true`."""
        entry: dict[str, Any] = {"rfilename": self.name, "size": len(self.content), "blobId": self.blob}
        if self.sha256 is not None:
            entry["lfs"] = {"sha256": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return entry

    def tree_entry(self) -> dict[str, Any]:
        """An entry of the tree listing."""
        entry: dict[str, Any] = {"type": "file", "path": self.name, "size": len(self.content), "oid": self.blob}
        if self.sha256 is not None:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return entry


@dataclass(frozen=True)
class Repository:
    """A model on the hub, with one commit."""

    model: str
    folder: Path
    gated: bool = False

    @cached_property
    def files(self) -> dict[str, HubFile]:
        """By name, in order."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        names = [path.relative_to(self.folder).as_posix() for path in found]
        return {name: HubFile(name, path) for name, path in zip(names, found, strict=True)}

    @cached_property
    def commit(self) -> str:
        """A hash of every file, as a commit's is."""
        listing = "".join(f"{file.blob} {name}\n" for name, file in self.files.items())
        return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()

    def knows(self, revision: str) -> bool:
        """Whether a revision is the commit, in full, or the branch that is at it."""
        return revision in {self.commit, "main"}

    def info(self) -> dict[str, Any]:
        """The answer to a question for the model."""
        return {
            "_id": self.commit[:24],
            "id": self.model,
            "modelId": self.model,
            "sha": self.commit,
            "private": False,
            "gated": "manual" if self.gated else False,
            "disabled": False,
            "tags": ["safetensors"],
            "siblings": [file.sibling() for file in self.files.values()],
        }
