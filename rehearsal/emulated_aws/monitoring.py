"""MonitorInstances and UnmonitorInstances: detailed monitoring of an instance, switched after launch.

What moto 5.2.5 does instead: it raises NotImplementedError.
"""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.ec2.responses.monitoring import Monitoring

from rehearsal.emulated_aws.extension import extend


def _switch(self: Monitoring, state: str) -> ActionResult:
    instances = [self.ec2_backend.get_instance(instance_id) for instance_id in self._get_param("InstanceIds", [])]
    for instance in instances:
        instance.monitoring_state = state
    monitorings = [{"InstanceId": instance.id, "Monitoring": {"State": state}} for instance in instances]
    return ActionResult({"InstanceMonitorings": monitorings})


def _monitor_instances(self: Monitoring) -> ActionResult:
    return _switch(self, "enabled")


def _unmonitor_instances(self: Monitoring) -> ActionResult:
    return _switch(self, "disabled")


def install() -> None:
    """Give moto both calls."""
    extend(Monitoring, "monitor_instances", _monitor_instances)
    extend(Monitoring, "unmonitor_instances", _unmonitor_instances)
