"""From settings to what the hosts read: one NodeConfig for the router hosts, one per pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settings.naming import (
    LAUNCHING_HOOK,
    STACK_ROUTER,
    TERMINATING_HOOK,
    log_group,
    model_directory_name,
    worker_group,
    workers_stack,
)
from user_data.node_config import (
    MODELS_DIRECTORY,
    LifeCycleConfig,
    LogConfig,
    NodeConfig,
    RouterConfig,
    SpeedsConfig,
    TlsConfig,
    WorkerConfig,
)

if TYPE_CHECKING:
    from settings.model import Settings
    from settings.workers import WorkerPool

# After discovery has seen that a worker leaves: one call of AWS, the router's reread of the manifest (0.3 s measured
# with smg 1.13.0), and a second to spare.
SETTLE_AFTER_DISCOVERY_SECONDS = 1.5


def router_node(settings: Settings) -> NodeConfig:
    """What the router hosts read."""
    router = settings.router
    tls = TlsConfig(**router.tls.model_dump()) if router.tls else None
    # Behind a load balancer each host has an address of its own that only EC2 knows.
    config = RouterConfig(
        listen=str(router.address) if router.count == 1 else "0.0.0.0",  # noqa: S104
        port=router.port,
        prometheus_port=router.prometheus_port,
        policy=router.policy,
        balance_abs_threshold=router.balance_abs_threshold,
        balance_rel_threshold=router.balance_rel_threshold,
        max_concurrent_requests=router.max_concurrent_requests,
        request_timeout_seconds=router.request_timeout_seconds,
        discovery_interval_seconds=router.discovery_interval_seconds,
        tls=tls,
    )
    return _node(settings, STACK_ROUTER, router=config)


def worker_node(settings: Settings, pool: WorkerPool) -> NodeConfig:
    """What the workers of a pool read."""
    life_cycle = LifeCycleConfig(
        group=worker_group(settings, pool),
        launching_hook=LAUNCHING_HOOK,
        terminating_hook=TERMINATING_HOOK,
        heartbeat_seconds=pool.lifecycle.drain_timeout_seconds,
        settle_seconds=settings.router.discovery_interval_seconds + SETTLE_AFTER_DISCOVERY_SECONDS,
    )
    config = WorkerConfig(
        pool=pool.name,
        port=pool.port,
        model_path=f"{MODELS_DIRECTORY}/{model_directory_name(pool.model_id)}",
        served_model_name=pool.served_name,
        engine_arguments=pool.engine.to_flags(),
        ready_timeout_seconds=pool.lifecycle.ready_timeout_seconds,
        life_cycle=life_cycle,
        speeds=SpeedsConfig(
            prompt_tokens_per_second=pool.scaling.prompt_tokens_per_second,
            token_seconds=pool.scaling.token_seconds,
            limit_seconds=pool.scaling.token_limit_seconds,
        ),
    )
    return _node(settings, workers_stack(pool.name), worker=config)


def _node(
    settings: Settings, stack: str, *, router: RouterConfig | None = None, worker: WorkerConfig | None = None
) -> NodeConfig:
    logs = LogConfig(group=log_group(settings, stack), metrics_namespace=settings.logs.metrics_namespace)
    return NodeConfig(
        deployment=settings.name,
        stack=stack,
        region=settings.region,
        logs=logs,
        api_key_parameter=settings.api_key_parameter,
        router=router,
        worker=worker,
    )
