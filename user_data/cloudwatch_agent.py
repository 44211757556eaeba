"""Configuration of the Amazon CloudWatch agent, from the same NodeConfig that the programs read.

The log group is the one that the `logs` stack creates: both names come from there. A stream's name is
`INSTANCE_ID/PROGRAM`; `{instance_id}` is the agent's own placeholder.
Format: Amazon CloudWatch user guide, "Manually create or edit the CloudWatch agent configuration file".
"""

from __future__ import annotations

from user_data.node_config import AGENT_LOG, DISCOVERY_LOG, ENGINE_LOG, ROUTER_LOG, NodeConfig

AGENT_CONFIGURATION_PATH = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/sglang-fleet.json"
CLOUD_INIT_LOG = "/var/log/cloud-init-output.log"

METRICS_INTERVAL_SECONDS = 60
"""Standard resolution: host metrics explain a slow worker; the scaling signal is published by the router host."""

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


def agent_configuration(node: NodeConfig) -> dict[str, Json]:
    """Return the agent's configuration: this host's log files into the deployment's group, and host metrics."""
    return {
        "agent": {"metrics_collection_interval": METRICS_INTERVAL_SECONDS, "region": node.region},
        "logs": {"logs_collected": {"files": {"collect_list": [_log_file(node, *entry) for entry in log_files(node)]}}},
        "metrics": {
            "namespace": node.logs.metrics_namespace,
            "append_dimensions": {
                "InstanceId": "${aws:InstanceId}",
                "AutoScalingGroupName": "${aws:AutoScalingGroupName}",
            },
            # Not by InstanceId once more: each host's own metrics have it already, and AWS charges for each metric.
            "aggregation_dimensions": [["AutoScalingGroupName"]],
            "metrics_collected": _host_metrics(),
        },
    }


def log_files(node: NodeConfig) -> tuple[tuple[str, str], ...]:
    """Return the log files of this host as (path, program)."""
    boot = ((AGENT_LOG, "agent"), (CLOUD_INIT_LOG, "cloud-init"))
    if node.router:
        return ((ROUTER_LOG, "router"), (DISCOVERY_LOG, "discovery"), *boot)
    return ((ENGINE_LOG, "engine"), *boot)


def _log_file(node: NodeConfig, path: str, program: str) -> Json:
    return {"file_path": path, "log_group_name": node.logs.group, "log_stream_name": f"{{instance_id}}/{program}"}


def _host_metrics() -> dict[str, Json]:
    """Of the host only: a worker's GPUs are published by the agent (`telemetry`), as metrics of the pool.

    The agent's own `nvidia_gpu` would say the same once more, as new metrics for each instance that ever lived.
    """
    return {
        "cpu": {"measurement": ["usage_active"], "totalcpu": True},
        "mem": {"measurement": ["used_percent"]},
        "disk": {"measurement": ["used_percent"], "resources": ["/"]},
    }
