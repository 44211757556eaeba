"""What a bake will do: pure, from the images wanted, the images there, and what is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packer.image import Image
    from packer.targets import Need, Target

EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Build:
    """Have Packer make an image."""

    target: Target


@dataclass(frozen=True)
class Reuse:
    """Take an image that was baked from the same content."""

    target: Target
    image: Image


@dataclass(frozen=True)
class Record:
    """Write the id of a target's image into the parameter that a stack reads; `image_id` is None until it is built."""

    target: Target
    need: Need
    current: str | None
    image_id: str | None


Action = Build | Reuse | Record


def plan(
    targets: Iterable[Target], images: Sequence[Image], recorded: Mapping[str, str], *, force: bool = False
) -> list[Action]:
    """Plan a bake. An image that is not available, or whose tags are not all there, is as good as none."""
    actions: list[Action] = []
    for target in targets:
        found = None if force else _newest(image for image in images if is_image_of(image, target))
        actions.append(Reuse(target, found) if found else Build(target))
        actions += _records(target, found.image_id if found else None, recorded)
    return actions


def is_image_of(image: Image, target: Target) -> bool:
    """Whether hosts can start from it, and it is what the target describes."""
    return image.is_available and target.tags.items() <= dict(image.tags).items()


def _newest(images: Iterable[Image]) -> Image | None:
    return max(images, key=lambda image: (image.created or EARLIEST, image.image_id), default=None)


def _records(target: Target, image_id: str | None, recorded: Mapping[str, str]) -> list[Record]:
    each = (Record(target, need, recorded.get(need.parameter), image_id) for need in target.needs)
    return [record for record in each if image_id is None or record.current != image_id]
