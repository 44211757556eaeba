"""Flow logs that log. moto 5.2.5 keeps them and writes nothing.

Record format 2 (docs.aws.amazon.com/vpc/latest/userguide, flow-log-records.html): one stream per network interface, one
record for each interval. The emulated cloud does not see packets, so every record is one of those that AWS writes then:
SKIPDATA, "some flow log records were skipped during the aggregation interval".
"""

from __future__ import annotations

from moto.ec2.models import ec2_backends
from moto.ec2.models.flow_logs import FlowLogs
from moto.logs.models import LogGroup, logs_backends

from rehearsal.emulated_aws.scaling_groups import ON_TICK, WORLD
from rehearsal.places import ACCOUNT_ID

INTERVAL_SECONDS = 60
"""Interfaces of Nitro instances, as all of ours are, are logged every minute whatever is set (flow-logs.html)."""
WITHOUT_DATA = " - - - - - - - "
GROUP_IN_ARN = 6


def publish(region: str) -> None:
    """Write the records of the interval that has just ended, for every interface in a VPC that is logged."""
    now = int(WORLD.clock.now().timestamp())
    ended = now - now % INTERVAL_SECONDS
    for flow_log in list(ec2_backends[ACCOUNT_ID][region].flow_logs.values()):
        # The first look finds no whole interval behind it.
        if getattr(flow_log, "rehearsal_ended", ended) < ended:
            _write(region, flow_log, ended)
        setattr(flow_log, "rehearsal_ended", ended)  # noqa: B010 - moto's class does not declare it


def _write(region: str, flow_log: FlowLogs, end: int) -> None:
    logs = logs_backends[ACCOUNT_ID][region]
    name = flow_log.log_group_name or flow_log.log_destination.split(":")[GROUP_IN_ARN]
    group: LogGroup | None = logs.groups.get(name)
    if group is None:
        return  # AWS drops records whose group is gone
    for interface in list(ec2_backends[ACCOUNT_ID][region].enis.values()):
        if interface.subnet.vpc_id == flow_log.resource_id:
            stream = f"{interface.id}-all"
            if stream not in group.streams:
                group.create_log_stream(stream)
            record = f"2 {ACCOUNT_ID} {interface.id}{WITHOUT_DATA}{end - INTERVAL_SECONDS} {end} - SKIPDATA"
            logs.put_log_events(name, stream, [{"timestamp": end * 1000, "message": record}])


def install() -> None:
    """Have them written with every tick of the life cycle."""
    ON_TICK.append(publish)
