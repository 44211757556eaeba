"""Looks for secrets in what a bake has written.

What the base image holds is its maker's affair, and full of examples that SDKs bring; a bake answers for what it adds.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

ROOTS: Final = tuple(map(Path, ("/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/usr/local", "/var")))  # noqa: S108
CHUNK: Final = 2**22
# Longer than any match below, so that none is missed where two chunks meet.
OVERLAP: Final = 512
# What pip put there has the hashes of the lock; examples of keys in SDKs' documentation are no secrets.
INSTALLED: Final = "site-packages"

# A key's header alone is a constant of every TLS library: only with its content it is a key.
PATTERNS: Final = {
    "a Hugging Face token": re.compile(rb"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{20,}"),
    "an AWS access key": re.compile(rb"(?<![A-Za-z0-9])A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    "an API key": re.compile(rb"(?<![A-Za-z0-9])sk-(?:[a-z]+-)?[A-Za-z0-9]{32,}"),
    "a private key": re.compile(
        rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+(?:[A-Za-z-]+: [^\n]*\n)*\s*[A-Za-z0-9+/=]{40}"
    ),
}


def written_since(since: float, roots: Iterable[Path], skip: Collection[Path] = ()) -> Iterator[Path]:
    """Regular files whose content or attributes changed since a time. ctime: no program sets it at will."""
    for root in roots:
        for folder, names, files in os.walk(root):
            names[:] = sorted(name for name in names if name != INSTALLED and Path(folder, name) not in skip)
            for name in sorted(files):
                path = Path(folder, name)
                if path not in skip and _changed_since(path, since):
                    yield path


def _changed_since(path: Path, since: float) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:  # a log that was rotated away meanwhile
        return False
    return stat.S_ISREG(status.st_mode) and status.st_ctime >= since


def _windows(path: Path) -> Iterator[bytes]:
    """The file's content in pieces that overlap."""
    kept = b""
    try:
        with path.open("rb") as content:
            while chunk := content.read(CHUNK):
                yield kept + chunk
                kept = (kept + chunk)[-OVERLAP:]
    except FileNotFoundError:
        return


def holds(path: Path, text: str) -> bool:
    """Whether a file contains a text."""
    needle = text.encode()
    return any(needle in window for window in _windows(path))


def kinds_of_secret(path: Path) -> tuple[str, ...]:
    """What a file contains that looks like a secret."""
    found = {kind for window in _windows(path) for kind, pattern in PATTERNS.items() if pattern.search(window)}
    return tuple(sorted(found))


def files_of_packages(info: Path = Path("/var/lib/dpkg/info")) -> frozenset[Path]:
    """Files that came with Debian packages, whose signatures apt checked; not /etc, which is made to be edited."""
    lists = (path.read_text().splitlines() for path in sorted(info.glob("*.list")))
    return frozenset(Path(name) for names in lists for name in names if not name.startswith("/etc/"))
