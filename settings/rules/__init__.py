"""Rules that look at more than one key: pure functions from settings to faults, each naming the keys it looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from settings.errors import Fault
from settings.model import Settings
from settings.rules import bake, deployment, engine, fit, network, scaling, workers

Rule = Callable[[Settings], Iterator[Fault]]

RULES: tuple[Rule, ...] = (
    deployment.state_bucket_name,
    deployment.tags,
    network.zones,
    network.vpc_size,
    network.subnets,
    network.allowed_blocks,
    network.private_endpoints,
    deployment.router_address,
    deployment.router_ports,
    deployment.router_policy,
    deployment.router_type,
    workers.names,
    workers.sizes,
    workers.warm_pool,
    workers.spot,
    workers.instance_types,
    workers.image_architecture,
    workers.volumes,
    scaling.kv_usage,
    scaling.token_limit,
    scaling.time_zones,
    scaling.schedules,
    bake.ssh,
    bake.instance_types,
    bake.base_images,
    engine.ranges,
    engine.builds,
    engine.gpus,
    engine.ports,
    fit.models,
)


def check_rules(settings: Settings) -> Iterator[Fault]:
    """Yield every fault that a rule finds."""
    for rule in RULES:
        yield from rule(settings)
