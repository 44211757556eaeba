"""Makes images of hosts and drops them again, as EC2 is told to. Belongs to the supervisor's event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.bake.content import ContentError, capture, discard
from rehearsal.emulated_aws.images import AVAILABLE, FAILED, IMAGES

log = logging.getLogger(__name__)


@dataclass
class ImageKeeper:
    """Holds the content of images, one folder for each."""

    folder: Path
    machines: Path
    set_state: Callable[[str, str], None]
    """Tell EC2 that an image is available, or failed."""
    borrowed: Iterable[str] = ()
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def content(self, image: str) -> Path | None:
        """Where the files of an image are; None when it was not made here."""
        folder = self.folder / image
        return folder if folder.is_dir() else None

    def step(self) -> None:
        """Begin what EC2 has been asked for meanwhile."""
        for image, instance in IMAGES.take_wanted().items():
            self._begin(self._make(image, instance))
        for image in IMAGES.take_dropped():
            self._begin(self._drop(image))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, image: str, instance: str) -> None:
        try:
            await asyncio.to_thread(capture, self.machines / instance, self.folder / image, tuple(self.borrowed))
        except (ContentError, OSError) as error:
            log.error("%s: not made of %s: %s", image, instance, error)  # noqa: TRY400 - the sentence says it all
            self.set_state(image, FAILED)
            return
        log.info("%s: made of %s", image, instance)
        self.set_state(image, AVAILABLE)

    async def _drop(self, image: str) -> None:
        await asyncio.to_thread(discard, self.folder / image)
