"""From settings to all stacks: each gets its Inputs only, and what it needs of others arrives as their Outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings import naming
from settings.catalogue import host_architecture
from settings.engine_catalogue import engine_catalogue
from settings.subnets import private_blocks, public_blocks
from stacks.base import Deployment
from stacks.dashboard import Dashboard, PoolOnDashboard
from stacks.hosts import MODEL_DEVICE, HostVolume, ModelVolume
from stacks.images import HostImage, ImageTag
from stacks.logs import LogGroup, LogsInputs, LogsStack
from stacks.network import NetworkInputs, NetworkStack, Zone
from stacks.node_configs import router_node, worker_node
from stacks.router import RouterInputs, RouterStack
from stacks.state import StateInputs, StateStack
from stacks.workers import SpotPlan, WorkersInputs, WorkersStack

if TYPE_CHECKING:
    from cdktf import App

    from settings.model import Settings
    from settings.router import VolumeSettings
    from settings.workers import WorkerPool
    from stacks.base import FleetStack
    from stacks.logs import LogsOutputs
    from stacks.network import NetworkOutputs
    from stacks.router import RouterOutputs


@dataclass(frozen=True)
class _Below:
    """What a pool's stack is built on."""

    deployment: Deployment
    network: NetworkOutputs
    logs: LogsOutputs
    router: RouterOutputs


def build_app(app: App, settings: Settings) -> None:
    """Add every stack of the deployment to `app`."""
    deployment = Deployment.of(settings)
    state = StateStack(app, StateInputs(deployment, settings.state.force_destroy))
    logs = LogsStack(app, _logs_inputs(settings, deployment))
    network = NetworkStack(app, _network_inputs(settings, deployment, logs.outputs))
    router = RouterStack(app, _router_inputs(settings, deployment, network.outputs, logs.outputs))
    below = _Below(deployment, network.outputs, logs.outputs, router.outputs)
    pools: list[FleetStack] = [WorkersStack(app, _workers_inputs(settings, pool, below)) for pool in settings.workers]
    # Order that references alone do not say: the state of every stack lies in the bucket of the first one, so the
    # bucket comes first and goes last.
    for stack in (logs, network, router, *pools):
        stack.add_dependency(state)


def _logs_inputs(settings: Settings, deployment: Deployment) -> LogsInputs:
    return LogsInputs(
        deployment=deployment,
        retention_days=settings.logs.retention_days,
        alarm_email=settings.logs.alarm_email,
        gib_per_day=settings.alarms.log_gib_per_day,
        groups=tuple(LogGroup(stack, naming.log_group(settings, stack)) for stack in _log_writers(settings)),
        dashboard=dashboard_of(settings),
    )


def _log_writers(settings: Settings) -> tuple[str, ...]:
    """Stacks with a log group."""
    return (naming.STACK_NETWORK, naming.STACK_ROUTER, *(naming.workers_stack(pool.name) for pool in settings.workers))


def dashboard_of(settings: Settings) -> Dashboard:
    """What the dashboard of a deployment is about."""
    return Dashboard(
        region=settings.region,
        deployment=settings.name,
        namespace=settings.logs.metrics_namespace,
        pools=tuple(_on_dashboard(settings, pool) for pool in settings.workers),
        router_log=naming.log_group(settings, naming.STACK_ROUTER),
        log_groups=tuple(naming.log_group(settings, stack) for stack in _log_writers(settings)),
    )


def _on_dashboard(settings: Settings, pool: WorkerPool) -> PoolOnDashboard:
    group = naming.log_group(settings, naming.workers_stack(pool.name))
    return PoolOnDashboard(
        name=pool.name,
        auto_scaling_group=naming.worker_group(settings, pool),
        log_group=group,
        target_load=pool.scaling.target_load,
        kv_usage_high_percent=pool.scaling.kv_usage_high_percent,
        ttft_seconds=settings.alarms.time_to_first_token_seconds,
        error_rate_percent=settings.alarms.error_rate_percent,
        may_be_empty=pool.min_size == 0,
    )


def _network_inputs(settings: Settings, deployment: Deployment, logs: LogsOutputs) -> NetworkInputs:
    network = settings.network
    blocks = zip(settings.availability_zones, private_blocks(settings), public_blocks(settings), strict=True)
    return NetworkInputs(
        deployment=deployment,
        vpc_cidr=str(network.vpc_cidr),
        zones=tuple(Zone(name, str(private), str(public)) for name, private, public in blocks),
        nat=network.nat,
        interface_endpoints=network.interface_endpoints,
        flow_log_group_arn=logs.group_arn(naming.STACK_NETWORK) if network.flow_logs else None,
    )


def _router_inputs(
    settings: Settings, deployment: Deployment, network: NetworkOutputs, logs: LogsOutputs
) -> RouterInputs:
    router = settings.router
    tls = router.tls
    return RouterInputs(
        deployment=deployment,
        network=network,
        logs=logs,
        node=router_node(settings),
        address=str(router.address),
        port=router.port,
        count=router.count,
        instance_type=router.instance_type,
        image=_router_image(settings),
        volume=_volume(router.volume),
        allowed_cidrs=tuple(str(cidr) for cidr in settings.access.allowed_cidrs),
        tls_secret_arns=(tls.certificate_secret, tls.key_secret) if tls else (),
    )


def _workers_inputs(settings: Settings, pool: WorkerPool, below: _Below) -> WorkersInputs:
    node = worker_node(settings, pool)
    assert node.worker and node.worker.life_cycle  # noqa: S101, PT018 - for the type checker
    return WorkersInputs(
        deployment=below.deployment,
        network=below.network,
        logs=below.logs,
        router=below.router,
        node=node,
        worker=node.worker,
        life_cycle=node.worker.life_cycle,
        group_name=naming.worker_group(settings, pool),
        instance_type=pool.instance_type,
        image=_worker_image(settings, pool),
        volume=_volume(pool.volume),
        model_volume=_model_volume(pool),
        sizes=(pool.min_size, pool.initial_size, pool.max_size),
        warm_pool=pool.warm_pool,
        spot=_spot(pool),
        scaling=pool.scaling,
        alarms=settings.alarms,
        router_log=naming.log_group(settings, naming.STACK_ROUTER),
        ready_timeout_seconds=pool.lifecycle.ready_timeout_seconds,
        min_healthy_percent=pool.lifecycle.min_healthy_percent,
    )


def _router_image(settings: Settings) -> HostImage:
    router = settings.router
    return HostImage(
        section="router.image",
        ami=router.image.ami,
        ssm_parameter=router.image.ssm_parameter or naming.image_parameter(settings, naming.STACK_ROUTER),
        is_own_parameter=router.image.ssm_parameter is not None,
        instance_type=router.instance_type,
        architecture=host_architecture(router.instance_type),
        tags=(ImageTag(naming.TAG_IMAGE_ROLE, naming.IMAGE_ROLE_ROUTER, "the role"),),
    )


def _worker_image(settings: Settings, pool: WorkerPool) -> HostImage:
    stack = naming.workers_stack(pool.name)
    tags = [
        ImageTag(naming.TAG_IMAGE_ROLE, naming.IMAGE_ROLE_WORKER, "the role"),
        ImageTag(naming.TAG_IMAGE_MODEL, pool.model_id, "the model"),
        # The pool's server arguments are checked against this release.
        ImageTag(naming.TAG_IMAGE_ENGINE, engine_catalogue().version, "SGLang", optional=True),
    ]
    if pool.model_revision:
        tags.append(ImageTag(naming.TAG_IMAGE_MODEL_REVISION, pool.model_revision, "the model's revision"))
    return HostImage(
        section=f"workers[{settings.workers.index(pool)}].image",
        ami=pool.image.ami,
        ssm_parameter=pool.image.ssm_parameter or naming.image_parameter(settings, stack),
        is_own_parameter=pool.image.ssm_parameter is not None,
        instance_type=pool.instance_type,
        architecture=host_architecture(pool.instance_type),
        tags=tuple(tags),
        model_device=MODEL_DEVICE if pool.model_volume.enabled else None,
    )


def _volume(volume: VolumeSettings) -> HostVolume:
    return HostVolume(volume.size_gib, volume.iops, volume.throughput_mib)


def _model_volume(pool: WorkerPool) -> ModelVolume | None:
    volume = pool.model_volume
    if not volume.enabled:
        return None
    return ModelVolume(volume.size_gib, volume.iops, volume.throughput_mib, volume.initialization_rate_mib)


def _spot(pool: WorkerPool) -> SpotPlan | None:
    spot = pool.spot
    if not spot.enabled:
        return None
    types = (pool.instance_type, *spot.other_instance_types)
    return SpotPlan(spot.on_demand_base, spot.on_demand_percentage, types)
