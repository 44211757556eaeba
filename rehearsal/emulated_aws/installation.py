"""Which changes are made to moto, and in what order."""

from __future__ import annotations

from functools import cache

from rehearsal.emulated_aws import (
    addresses,
    flow_logs,
    images,
    instances,
    monitoring,
    nat,
    power,
    query_definitions,
    read_back,
    scaling_api,
    scaling_calls,
    scaling_readback,
    templates,
    transport,
    versions,
)
from rehearsal.emulated_aws.alarms import installation as alarms


@cache  # an extension wraps what it finds: a second time it would wrap itself
def install_extensions() -> None:
    """Apply every extension to moto's classes, before the server answers its first request."""
    addresses.install()
    images.install()
    instances.install()
    monitoring.install()
    nat.install()
    power.install()  # after addresses: what an instance held is free when it begins to shut down
    query_definitions.install()
    read_back.install()
    scaling_api.install()
    scaling_calls.install()
    scaling_readback.install()
    templates.install()
    transport.install()
    versions.install()
    flow_logs.install()
    alarms.install()  # after scaling_calls, whose deletion of a group it goes on calling
