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


# Tags of an image and of its snapshots, as a bake sets them. None names a deployment: several may use one image.
TAG_IMAGE_ROLE = "sglang-fleet:role"
TAG_IMAGE_KEY = "sglang-fleet:content-key"
TAG_IMAGE_ARCHITECTURE = "sglang-fleet:architecture"
TAG_IMAGE_MODEL = "sglang-fleet:model"
TAG_IMAGE_MODEL_REVISION = "sglang-fleet:model-revision"
TAG_IMAGE_ENGINE = "sglang-fleet:engine"
# Of what a bake makes for its own time only; its value is the bake's, so that an interrupted one can be swept up.
TAG_BAKE = "sglang-fleet:bake"

# Values of TAG_IMAGE_ROLE.
IMAGE_ROLE_ROUTER = "router"
IMAGE_ROLE_WORKER = "worker"


def model_directory_name(model_id: str) -> str:
    """Folder of a model below the models directory: the id without its organisation."""
    return model_id.rsplit("/", 1)[-1]
