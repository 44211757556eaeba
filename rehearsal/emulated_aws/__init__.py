"""The emulated AWS: moto's server with what moto lacks. One module per change; each says what moto does without it."""

from __future__ import annotations

from rehearsal.emulated_aws import addresses, groups, instances, monitoring, nat, read_back, transport, versions


def install_extensions() -> None:
    """Apply every extension to moto's classes. Call once, before the server answers its first request."""
    addresses.install()
    groups.install()
    instances.install()
    monitoring.install()
    nat.install()
    read_back.install()
    transport.install()
    versions.install()
