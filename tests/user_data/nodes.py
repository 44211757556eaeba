"""Two hosts' NodeConfigs, with every field that can be set."""

from __future__ import annotations

from user_data.node_config import (
    LifeCycleConfig,
    LogConfig,
    NodeConfig,
    RouterConfig,
    SpeedsConfig,
    TlsConfig,
    WorkerConfig,
)

ROUTER = RouterConfig(
    listen="127.64.0.100",
    port=8000,
    prometheus_port=29000,
    policy="cache_aware",
    balance_abs_threshold=2,
    balance_rel_threshold=1.2,
    max_concurrent_requests=4096,
    request_timeout_seconds=1800,
    discovery_interval_seconds=2,
    tls=TlsConfig(certificate_secret="fleet/certificate", key_secret="fleet/key"),
)

WORKER = WorkerConfig(
    pool="default",
    port=30000,
    model_path="/opt/sglang/models/tiny",
    served_model_name="org/Tiny",
    engine_arguments=("--mem-fraction-static", "0.85", "--tp-size", "4", "--trust-remote-code"),
    ready_timeout_seconds=1800,
)


LIFE_CYCLE = LifeCycleConfig(
    group="fleet-default", launching_hook="launching", terminating_hook="terminating", heartbeat_seconds=30
)
SPEEDS = SpeedsConfig(prompt_tokens_per_second=2200, token_seconds=0.03, limit_seconds=0.06)
GROUPED_WORKER = WORKER.model_copy(update={"life_cycle": LIFE_CYCLE, "speeds": SPEEDS})


def node(
    *, router: RouterConfig | None = None, worker: WorkerConfig | None = None, key: str | None = "/k"
) -> NodeConfig:
    return NodeConfig(
        deployment="fleet",
        stack="router" if router else "workers-default",
        region="eu-central-1",
        logs=LogConfig(group="/sglang-fleet/fleet/hosts", metrics_namespace="sglang-fleet"),
        api_key_parameter=key,
        router=router,
        worker=worker,
    )


ROUTER_NODE = node(router=ROUTER, key="/sglang-fleet/fleet/api-key")
WORKER_NODE = node(worker=WORKER, key="/sglang-fleet/fleet/api-key")
GROUPED_WORKER_NODE = node(worker=GROUPED_WORKER, key="/sglang-fleet/fleet/api-key")
NODES = {"router": ROUTER_NODE, "worker": WORKER_NODE, "grouped_worker": GROUPED_WORKER_NODE}
