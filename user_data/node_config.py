"""The contract between the laptop and the host: `/etc/sglang-fleet/node.json`.

The stacks write it into user data, the programs on the host read it. It is installed on hosts, so it imports nothing
but pydantic and the standard library. It never holds a secret: only the name of the parameter that does.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

TAG_DEPLOYMENT = "sglang-fleet:deployment"
TAG_STACK = "sglang-fleet:stack"
TAG_POOL = "sglang-fleet:pool"
TAG_ENGINE_PORT = "sglang-fleet:engine-port"
TAG_MODEL = "sglang-fleet:model"

NODE_CONFIG_PATH = "/etc/sglang-fleet/node.json"
AGENT_HOME = "/opt/sglang-fleet"
ENGINE_HOME = "/opt/sglang"
RUN_DIRECTORY = "/run/sglang-fleet"
MODELS_DIRECTORY = f"{ENGINE_HOME}/models"
COMPILE_CACHE_DIRECTORY = f"{ENGINE_HOME}/torch_compile_cache"
ENGINE_LOG = f"{ENGINE_HOME}/logs/sglang.log"
ROUTER_LOG = "/var/log/sglang-fleet/router.log"
DISCOVERY_LOG = "/var/log/sglang-fleet/discovery.log"
AGENT_LOG = "/var/log/sglang-fleet/agent.log"
DISCOVERY_MANIFEST = f"{RUN_DIRECTORY}/workers.json"

# The load signal: published by the router host, read by the scaling policies.
METRIC_LOAD = "LoadPerWorker"
DIMENSION_DEPLOYMENT = "Deployment"
DIMENSION_POOL = "Pool"
METRIC_INTERVAL_SECONDS = 10

UNIT_ROUTER = "sglang-fleet-router.service"
UNIT_DISCOVERY = "sglang-fleet-discovery.service"
UNIT_WORKER = "sglang-fleet-worker.service"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsConfig(_Model):
    """Where the router host reads certificate and key (PEM text in Secrets Manager)."""

    certificate_secret: str
    key_secret: str


class RouterConfig(_Model):
    """What the router host runs: `smg` with these values, fed by discovery."""

    listen: str = Field(
        description="Address to listen on; the host's own private address, or 0.0.0.0 behind a load balancer."
    )
    port: int
    prometheus_port: int
    policy: str
    balance_abs_threshold: int
    balance_rel_threshold: float
    max_concurrent_requests: int
    request_timeout_seconds: int
    discovery_interval_seconds: int
    manifest: str = DISCOVERY_MANIFEST
    tls: TlsConfig | None = None


class WatchdogConfig(_Model):
    """When an engine that runs counts as failed, and when its host does."""

    probe_interval_seconds: float = Field(
        default=2, gt=0, description="From one generation of the watchdog to the next."
    )
    probe_timeout_seconds: float = Field(
        default=5, gt=0, description="Time in which an engine that makes no progress has to generate a token."
    )
    strikes: int = Field(
        default=3, ge=1, description="So many failed generations in a row, without progress, end the engine."
    )
    max_restarts: int = Field(
        default=3, ge=0, description="More failures than these within the window, and the host is replaced."
    )
    restart_window_seconds: float = Field(default=600, gt=0, description="The window of max_restarts.")
    abandon_not_before_seconds: float = Field(
        default=300,
        ge=0,
        description="A host that never was ready holds its place so long, even if its ready timeout is shorter: "
        "a broken image must not make the group launch hosts without pause.",
    )


class LifeCycleConfig(_Model):
    """How a worker takes part in its Auto Scaling group: both hooks hold the instance until the agent has answered."""

    group: str = Field(description="Name of the Auto Scaling group.")
    launching_hook: str
    terminating_hook: str
    heartbeat_seconds: int = Field(ge=30, le=7200, description="HeartbeatTimeout of both hooks.")
    settle_seconds: float = Field(
        default=3.5,
        ge=0,
        description="From leaving the group until the router surely sends nothing more: one discovery interval (2 s "
        "by default), one AWS call, smg's reread of the manifest (0.3 s measured), and a second to spare.",
    )
    watchdog: WatchdogConfig = WatchdogConfig()


class SpeedsConfig(_Model):
    """One worker alone: what the prompt load rests on."""

    prompt_tokens_per_second: float = Field(gt=0)
    token_seconds: float = Field(gt=0, description="From one token to the next of a single answer.")
    limit_seconds: float = Field(gt=0, description="The mean of it that nine answers of ten shall keep.")


class WorkerConfig(_Model):
    """What a worker runs: the engine with these arguments."""

    pool: str
    port: int
    model_path: str
    served_model_name: str
    engine_arguments: tuple[str, ...] = Field(
        description="Words of SGLang's command line, without those that the agent adds (address, key, model)."
    )
    ready_timeout_seconds: int
    life_cycle: LifeCycleConfig | None = Field(
        default=None,
        exclude_if=lambda value: value is None,  # hosts without hooks read the same file as before
        description="Hooks, drain and watchdog; None for a host that no group holds.",
    )
    speeds: SpeedsConfig | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="How fast a worker is; None: its prompt load is not published.",
    )


class LogConfig(_Model):
    """CloudWatch log groups and namespace that this host writes to."""

    group: str
    metrics_namespace: str


class NodeConfig(_Model):
    """One host's part of the deployment."""

    version: Literal[1] = 1
    deployment: str
    stack: str
    region: str
    logs: LogConfig
    api_key_parameter: str | None = Field(
        description="SSM SecureString parameter with the API key, or None for no key."
    )
    router: RouterConfig | None = None
    worker: WorkerConfig | None = None

    @property
    def units(self) -> tuple[str, ...]:
        """The systemd units this host starts."""
        return (UNIT_DISCOVERY, UNIT_ROUTER) if self.router else (UNIT_WORKER,)
