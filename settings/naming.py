"""Names that more than one place must agree on. Pure functions of the settings; nothing looks a thing up by pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings.model import Settings
    from settings.workers import WorkerPool

STACK_STATE = "state"
STACK_NETWORK = "network"
STACK_LOGS = "logs"
STACK_ROUTER = "router"


def workers_stack(pool: str) -> str:
    """Stack of one pool of workers."""
    return f"workers-{pool}"


def stack_names(settings: Settings) -> tuple[str, ...]:
    """Every stack of the deployment, in the order in which they are applied."""
    pools = (workers_stack(pool.name) for pool in settings.workers)
    return (STACK_STATE, STACK_LOGS, STACK_NETWORK, STACK_ROUTER, *pools)


def log_group(settings: Settings, stack: str) -> str:
    """Log group that the hosts of a stack (or the flow log of the network) write to."""
    return f"/sglang-fleet/{settings.name}/{stack}"


def worker_group(settings: Settings, pool: WorkerPool) -> str:
    """Name of a pool's Auto Scaling group."""
    return f"{settings.name}-{workers_stack(pool.name)}"


# Hooks of every pool's group; names are unique within a group only.
LAUNCHING_HOOK = "engine-generates"
TERMINATING_HOOK = "requests-finished"


def image_parameter(settings: Settings, stack: str) -> str:
    """SSM parameter with the id of the image that hosts of a stack start from, as a bake leaves it."""
    return f"/sglang-fleet/{settings.name}/image/{stack}"


def model_directory_name(model_id: str) -> str:
    """Folder of a model below the models directory: the id without its organisation."""
    return model_id.rsplit("/", 1)[-1]
