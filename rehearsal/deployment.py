"""From settings to what the rehearsal has to prepare and to expect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rehearsal.cloud_config import CloudConfig, EngineConfig, EngineKind, ImageConfig, Role
from rehearsal.places import DEFAULT_NETWORK, NETWORK
from rehearsal.real_engine import ENGINE_ARGUMENTS
from rehearsal.scenarios.pace import Pace
from settings import naming
from settings.catalogue import host_architecture
from settings.engine_catalogue import MANAGED, engine_catalogue
from settings.model import Settings
from settings.workers import WorkerPool

ROUTER_HOST = 100  # 127.64.0.100 in the default network


class NotLoopbackError(Exception):
    """The deployment's addresses are not those of a rehearsal: its hosts could not run on this machine."""


def check_addresses(settings: Settings) -> None:
    """Refuse a VPC outside the loopback block: nothing of a rehearsal may listen or connect anywhere else.

    Raises:
        NotLoopbackError: with the remedy.
    """
    block = settings.network.vpc_cidr
    if not block.is_loopback:
        raise NotLoopbackError(
            f"network.vpc_cidr: '{block}' is not a loopback block; a rehearsal's hosts live at loopback addresses: "
            f"use {DEFAULT_NETWORK} and a router.address in it, as environments/rehearsal.toml does"
        )


def rehearsal_overrides(engine: EngineKind, workers: int | None, pools: int) -> dict[str, object]:
    """Settings that the chosen engine and number of workers change, as override keys."""
    overrides: dict[str, object] = {}
    if NETWORK != DEFAULT_NETWORK:
        overrides |= {"network.vpc_cidr": str(NETWORK), "router.address": str(NETWORK[ROUTER_HOST])}
    if engine == "sglang":
        # What the fleet sets itself is refused in a settings file.
        free = {name: value for name, value in ENGINE_ARGUMENTS.items() if name not in MANAGED}
        for pool in range(pools):
            overrides |= {f"workers[{pool}].engine.{name}": value for name, value in free.items()}
        workers = workers or 2
    if workers is not None:
        overrides |= {
            "workers[0].min_size": workers,
            "workers[0].desired_size": workers,
            "workers[0].max_size": workers + 2,
        }
    return overrides


def scenario_overrides(pace: Pace) -> dict[str, object]:
    """Settings that scenarios need, as override keys: a pool to play with, and AWS's shortest times."""
    return {
        "workers[0].min_size": 1,
        "workers[0].desired_size": pace.workers,
        "workers[0].max_size": pace.workers * 2,
        "workers[0].lifecycle.drain_timeout_seconds": 30,
        "workers[0].scaling.instance_warmup_seconds": 2,
        # The emulated engines decode at a pace of their own; the prompt load has to know it.
        "workers[0].scaling.token_seconds": 1 / pace.tokens_per_second,
        "workers[0].scaling.token_limit_seconds": 2 / pace.tokens_per_second,
        # Answers then say how much of their prompt a prefix cache held.
        "workers[0].engine.enable_cache_report": True,
    }


def _image(settings: Settings, stack: str, instance_type: str, pool: WorkerPool | None) -> ImageConfig:
    """An image as `fleet bake` would leave it: where it is recorded, what it is for, what its tags say."""
    image = settings.router.image if pool is None else pool.image
    architecture = image.architecture or host_architecture(instance_type)
    role: Role = "router" if pool is None else "worker"
    of_model = {} if pool is None else _model_tags(pool)
    return ImageConfig(
        role=role,
        architecture=architecture,
        parameter=None if image.ami else image.ssm_parameter or naming.image_parameter(settings, stack),
        ami=image.ami,
        model=None if pool is None else naming.model_directory_name(pool.model_id),
        tags={naming.TAG_IMAGE_ROLE: role, naming.TAG_IMAGE_ARCHITECTURE: architecture, **of_model},
    )


def _model_tags(pool: WorkerPool) -> dict[str, str]:
    tags = {naming.TAG_IMAGE_MODEL: pool.model_id, naming.TAG_IMAGE_ENGINE: engine_catalogue().version}
    return {**tags, naming.TAG_IMAGE_MODEL_REVISION: pool.model_revision} if pool.model_revision else tags


def _images(settings: Settings) -> tuple[ImageConfig, ...]:
    of_router = _image(settings, naming.STACK_ROUTER, settings.router.instance_type, None)
    of_pools = (
        _image(settings, naming.workers_stack(pool.name), pool.instance_type, pool) for pool in settings.workers
    )
    return (of_router, *of_pools)


def cloud_config(settings: Settings, venvs: Mapping[str, Path], engine: EngineConfig) -> CloudConfig:
    """What the emulated cloud has to hold for a deployment."""
    return CloudConfig(
        region=settings.region,
        images=_images(settings),
        router_venv=venvs["router"],
        agent_venv=venvs["agent"],
        engine=engine,
    )


def expected_workers(settings: Settings) -> int:
    """Workers after the first apply."""
    return sum(pool.initial_size for pool in settings.workers)


def models(settings: Settings) -> tuple[str, ...]:
    """Names that clients ask for."""
    return tuple(dict.fromkeys(pool.served_name for pool in settings.workers))


def router_url(settings: Settings) -> str:
    """Where clients send requests."""
    return f"{'https' if settings.router.tls else 'http'}://{settings.router.address}:{settings.router.port}"
