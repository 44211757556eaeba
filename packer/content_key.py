"""The content key of an image: a hash over everything that shapes it, and over nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# 80 bits: it stands in tags and in the image's name, and no account has a trillion images to collide.
KEY_DIGITS: Final = 20


def content_key(parts: Mapping[str, bytes]) -> str:
    """Hash named parts. Names and contents carry their lengths, so that no two sets of parts run into one stream."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        for piece in (name.encode(), parts[name]):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return digest.hexdigest()[:KEY_DIGITS]
