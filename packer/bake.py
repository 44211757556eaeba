"""`fleet bake`: from settings to recorded images. Looking changes nothing; `apply` does what the plan says."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packer.account import Account
from packer.builder import Baker, Built
from packer.errors import BakeInterruptedError
from packer.hub import Hub
from packer.interrupts import Interrupts
from packer.plan import Action, Build, Record, Reuse, plan
from packer.program import find_packer
from packer.sources import base_images, hub_token, models
from packer.targets import Need, Target, choose_needs, needs_of, recipe_of, targets_of
from settings.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from packer.image import Image
    from packer.site import BakeSite
    from settings.model import Settings

REPOSITORY: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class BakeOptions:
    """What a command line asks for."""

    only: str | None = None
    force: bool = False


@dataclass(frozen=True)
class Outlook:
    """What was found, and what is to be done about it."""

    account: Account
    targets: tuple[Target, ...]
    given: tuple[Need, ...]
    actions: tuple[Action, ...]
    token: str | None = field(repr=False)

    @property
    def builds(self) -> tuple[Build, ...]:
        """The images to make."""
        return tuple(action for action in self.actions if isinstance(action, Build))


@dataclass(frozen=True)
class Result:
    """One image and how it was come by. `built` is None for one that was there."""

    target: Target
    image: Image
    recorded: tuple[str, ...]
    built: Built | None = None


def look(settings: Settings, site: BakeSite, options: BakeOptions, repository: Path = REPOSITORY) -> Outlook:
    """Find out what is wanted, what is there, and what has to be done.

    Raises:
        SettingsError: with everything that is wrong with base images and models at once.
    """
    needs, given = choose_needs(needs_of(settings), options.only)
    account = Account(settings.region)
    with_models = any(need.pool for need in needs)
    token = hub_token(account, settings.bake.hub_token_parameter) if with_models else None
    hub = Hub(site.hub_url or settings.bake.hub_url, token, token_parameter=settings.bake.hub_token_parameter)
    bases, faults = base_images(account, settings.bake, site, needs)
    found, more = models(hub, needs)
    if faults or more:
        raise SettingsError(dict.fromkeys([*faults, *more]))
    recipes = {need.stack: recipe_of(need, bases[need.stack], found.get(need.stack), site) for need in needs}
    targets = targets_of(settings, recipes, needs, repository)
    images = account.images_with_keys([target.key for target in targets])
    recorded = account.parameters(need.parameter for need in needs)
    actions = plan(targets, images, recorded, force=options.force)
    return Outlook(account, targets, given, tuple(actions), token)


def apply(
    settings: Settings, site: BakeSite, outlook: Outlook, console: Console, repository: Path = REPOSITORY
) -> tuple[Result, ...]:
    """Build, and record each image as soon as it is there.

    Raises:
        BakeError: a build failed or was interrupted; images of earlier builds stay and are recorded.
    """
    with Interrupts() as interrupts:
        baker = _baker(settings, site, outlook, console, interrupts, repository) if outlook.builds else None
        results = []
        for target in outlook.targets:
            result = _carry_out(target, outlook, baker)
            results.append(result)
            if interrupts.requested:
                raise BakeInterruptedError(f"bake: interrupted; {result.image.image_id} is complete and recorded")
    return tuple(results)


def _baker(  # noqa: PLR0913, PLR0917 - it is these six that make one
    settings: Settings,
    site: BakeSite,
    outlook: Outlook,
    console: Console,
    interrupts: Interrupts,
    repository: Path,
) -> Baker:
    packer = find_packer(os.environ)
    # Imported here: the HTTP client takes a tenth of the time that a bake with nothing to do takes.
    from packer.address import public_block  # noqa: PLC0415

    given = site.ssh_cidrs if site.ssh_cidrs is not None else tuple(map(str, settings.bake.ssh_cidrs))
    cidrs = given or (public_block(),)
    return Baker(settings, site, outlook.account, repository, packer, cidrs, outlook.token, interrupts, console)


def _carry_out(target: Target, outlook: Outlook, baker: Baker | None) -> Result:
    of_target = [action for action in outlook.actions if action.target == target]
    built = None
    image = next((action.image for action in of_target if isinstance(action, Reuse)), None)
    if image is None:
        if baker is None:
            raise AssertionError("a plan that builds has a baker")
        built = baker.build(target)
        image = built.image
    records = [action for action in of_target if isinstance(action, Record)]
    return Result(target, image, _record(outlook.account, image.image_id, records), built)


def _record(account: Account, image_id: str, records: Sequence[Record]) -> tuple[str, ...]:
    for record in records:
        description = f"Image of {record.need.stack}, content key {record.target.key}"
        account.record(record.need.parameter, image_id, description)
    return tuple(record.need.stack for record in records)
