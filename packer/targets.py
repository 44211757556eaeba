"""What a deployment's hosts need of images, and which images that makes: equal needs share one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packer.content_key import content_key
from packer.hub import Wanted
from packer.recipe import Engine, Recipe
from packer.staging import shaping_parts, staged_files
from settings.bake import model_volume_gib
from settings.catalogue import host_architecture
from settings.engine_catalogue import engine_catalogue
from settings.errors import Fault, SettingsError
from settings.naming import (
    IMAGE_ROLE_ROUTER,
    STACK_ROUTER,
    TAG_IMAGE_ARCHITECTURE,
    TAG_IMAGE_ENGINE,
    TAG_IMAGE_KEY,
    TAG_IMAGE_MODEL,
    TAG_IMAGE_MODEL_REVISION,
    TAG_IMAGE_ROLE,
    image_parameter,
    workers_stack,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packer.hub import Model
    from packer.site import BakeSite, Role
    from settings.catalogue import Architecture
    from settings.model import Settings
    from settings.router import ImageSettings
    from settings.workers import WorkerPool

# Every pool's images carry the pinned release.
ENGINE_CATEGORY = "worker"
NO_VOLUME = "none"


@dataclass(frozen=True)
class Need:
    """The image that the hosts of one stack start from. `given` says who else decides on it, if anybody does."""

    stack: str
    path: str
    parameter: str
    role: Role
    architecture: Architecture
    root_gib: int
    pool: WorkerPool | None = None
    given: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What `--only` may call it."""
        return (self.stack, self.pool.name) if self.pool else (self.stack,)

    @property
    def wanted(self) -> Wanted | None:
        """The model, as the hub is asked for it."""
        if self.pool is None:
            return None
        engine = self.pool.engine.values
        load_format = engine.get("load_format")
        return Wanted(
            self.path,
            self.pool.model_id,
            self.pool.model_revision,
            trust_remote_code=engine.get("trust_remote_code") is True,
            load_format=load_format if isinstance(load_format, str) else None,
        )


@dataclass(frozen=True)
class Target:
    """One image, and the stacks whose hosts start from it."""

    recipe: Recipe
    key: str
    instance_type: str
    needs: tuple[Need, ...]

    @property
    def label(self) -> str:
        """Short name for files and messages."""
        parts = (self.recipe.role, self.recipe.architecture, self.recipe.model and self.recipe.model.directory)
        return "-".join(part for part in parts if part)

    @property
    def tags(self) -> dict[str, str]:
        """Tags that its image must carry to count as this image."""
        recipe = self.recipe
        tags = {TAG_IMAGE_ROLE: recipe.role, TAG_IMAGE_KEY: self.key, TAG_IMAGE_ARCHITECTURE: recipe.architecture}
        if recipe.engine:
            tags[TAG_IMAGE_ENGINE] = recipe.engine.version
        if recipe.model:
            tags[TAG_IMAGE_MODEL] = recipe.model.model_id
            tags[TAG_IMAGE_MODEL_REVISION] = recipe.model.revision
        return tags


def needs_of(settings: Settings) -> tuple[Need, ...]:
    """Every stack that has hosts, the router first."""
    router = settings.router
    first = Need(
        STACK_ROUTER,
        "router",
        image_parameter(settings, STACK_ROUTER),
        "router",
        _architecture(router.image, router.instance_type),
        router.volume.size_gib,
        given=_given(router.image),
    )
    pools = (_need_of_pool(settings, index, pool) for index, pool in enumerate(settings.workers))
    return (first, *pools)


def _need_of_pool(settings: Settings, index: int, pool: WorkerPool) -> Need:
    stack = workers_stack(pool.name)
    architecture = _architecture(pool.image, pool.instance_type)
    parameter, size = image_parameter(settings, stack), pool.volume.size_gib
    return Need(stack, f"workers[{index}]", parameter, "worker", architecture, size, pool, _given(pool.image))


def _architecture(image: ImageSettings, instance_type: str) -> Architecture:
    return image.architecture or host_architecture(instance_type)


def _given(image: ImageSettings) -> str | None:
    """Who else decides: an image that is named, or a parameter that another bake writes, is not to be baked here."""
    if image.ami:
        return f"image.ami = {image.ami}"
    return f"image.ssm_parameter = {image.ssm_parameter}" if image.ssm_parameter else None


def choose_needs(needs: Iterable[Need], only: str | None) -> tuple[tuple[Need, ...], tuple[Need, ...]]:
    """Those to bake for, and those whose image comes from elsewhere.

    Raises:
        SettingsError: `only` names no stack, or one that needs no bake.
    """
    all_needs = tuple(needs)
    chosen = tuple(need for need in all_needs if only is None or only in need.names)
    if not chosen:
        names = ", ".join(need.names[-1] for need in all_needs)
        raise SettingsError([Fault("--only", only, "is neither the router nor a pool", f"use one of {names}")])
    given = tuple(need for need in chosen if need.given)
    if only is not None and given:
        rule = f"has an image that is not baked here: {given[0].path}.{given[0].given}"
        raise SettingsError([Fault("--only", only, rule, "leave that key out to have an image baked")])
    return tuple(need for need in chosen if not need.given), given


def conditions(site: BakeSite, role: Role) -> dict[str, str]:
    """Variables of the provision scripts that change what an image becomes."""
    is_router = role == IMAGE_ROLE_ROUTER
    return {
        "MODEL_DEVICE": NO_VOLUME if is_router else site.model_device,
        "GPU_DRIVER_CHECK": "yes" if site.gpu_driver_check else "no",
        "ENGINE_INSTALL": site.engine_install,
        "CLOUDWATCH_AGENT_KEY_FINGERPRINT": site.cloudwatch_agent_key_fingerprint,
    }


def recipe_of(need: Need, base_image: str, model: Model | None, site: BakeSite) -> Recipe:
    """What the image of a need is made from."""
    has_volume = need.pool and model and site.model_device != NO_VOLUME
    return Recipe(
        role=need.role,
        architecture=need.architecture,
        base_image=base_image,
        root_gib=need.root_gib,
        model_gib=model_volume_gib(need.pool.model_volume, model.size) if has_volume and need.pool and model else 0,
        engine=Engine(ENGINE_CATEGORY, engine_catalogue().version) if need.pool else None,
        model=model,
        conditions=tuple(sorted(conditions(site, need.role).items())),
    )


def targets_of(
    settings: Settings, recipes: Mapping[str, Recipe], needs: Iterable[Need], repository: Path
) -> tuple[Target, ...]:
    """The images for these needs; `recipes` has one for each stack. What has the same key is one image."""
    by_key: dict[str, Target] = {}
    for need in needs:
        recipe = recipes[need.stack]
        key = content_key(shaping_parts(repository, recipe, staged_files(repository, recipe)))
        known = by_key.get(key)
        instance_type = settings.bake.instance_type(need.role, need.architecture)
        by_key[key] = Target(recipe, key, instance_type, (*(known.needs if known else ()), need))
    return tuple(by_key.values())
