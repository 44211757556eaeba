"""What an image holds: a host's files, kept below the work folder, and given to every machine that starts from it."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from rehearsal.bake.throwaway import VOLATILE


class ContentError(Exception):
    """Files cannot be copied."""


def _copy(source: Path, target: Path) -> None:
    """With owners, modes and times, as a snapshot has them."""
    command = ["cp", "--archive", "--reflink=auto", "--no-target-directory", str(source), str(target)]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise ContentError(f"{source} cannot be copied to {target}: {error.stderr.strip()}") from error
    except OSError as error:
        raise ContentError(f"{source} cannot be copied to {target}: {error.strerror}") from error


def capture(root: Path, image: Path, borrowed: Iterable[str] = ()) -> None:
    """Keep a host's files as an image.

    Left out are memory file systems, the marks of an overlay for files of the lower layer that were deleted, and the
    empty folders on which folders of this computer had been bound.

    Raises:
        ContentError: they cannot be copied.
    """
    for entry in sorted(root.iterdir()):
        if entry.name not in VOLATILE:
            _copy(entry, image / entry.name)
    for mark in _whiteouts(image):
        mark.unlink()
    for path in borrowed:
        _prune(image, image / path.lstrip("/"))


def _whiteouts(folder: Path) -> Iterator[Path]:
    """Character devices 0/0 (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories")."""
    return (path for path in folder.rglob("*") if stat.S_ISCHR(path.lstat().st_mode))


def _prune(image: Path, folder: Path) -> None:
    """Remove an empty folder and those above it that are then empty, but none of the root's own."""
    while folder.parent != image and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def unfold(image: Path, root: Path) -> None:
    """Give a machine the files of an image.

    Raises:
        ContentError: they cannot be copied.
    """
    for entry in sorted(image.iterdir()):
        _copy(entry, root / entry.name)


def discard(folder: Path) -> None:
    """Remove a host's or an image's files."""
    shutil.rmtree(folder, ignore_errors=True)
