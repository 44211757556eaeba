"""Router settings: where it listens and how it chooses a worker."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from settings.base import Address, AmiId, InstanceType, Port, Seconds, Section

ParameterName = Annotated[
    str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]{1,1010}$"), Field(examples=["/sglang-fleet/sglang/image/router"])
]
SecretArn = Annotated[
    str,
    StringConstraints(pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$"),
    Field(examples=["arn:aws:secretsmanager:us-east-1:123456789012:secret:router-certificate-AbCdEf"]),
]
RouterPolicy = Literal[
    "cache_aware", "prefix_hash", "consistent_hashing", "power_of_two", "least_load", "round_robin", "random"
]


class ImageSettings(Section):
    """Which machine image hosts start from; without `ami`, the one that `fleet bake` recorded in SSM."""

    ami: AmiId | None = Field(default=None, description="Image id; overrides the baked image.")
    ssm_parameter: ParameterName | None = Field(
        default=None, description="SSM parameter holding the image id. Default: /sglang-fleet/NAME/image/ROLE."
    )
    architecture: Literal["x86_64", "arm64"] | None = Field(
        default=None, description="Processor architecture of the image; default: that of the instance type."
    )

    @property
    def is_own(self) -> bool:
        """Whether the settings say which image it is: then no bake here makes it, and its content is the user's."""
        return self.ami is not None or self.ssm_parameter is not None


class VolumeSettings(Section):
    """A gp3 root volume, always encrypted."""

    size_gib: Annotated[int, Field(ge=8, le=16384)] = Field(default=30, description="Size in GiB.")
    iops: Annotated[int, Field(ge=3000, le=16000)] = Field(
        default=3000, description="Provisioned operations per second."
    )
    # Provider 5.100.0 rejects more than 1000 in a launch template although EC2 allows 2000.
    throughput_mib: Annotated[int, Field(ge=125, le=1000)] = Field(
        default=125, description="Provisioned throughput, MiB/s."
    )


class TlsSettings(Section):
    """Certificate and key for HTTPS on the router, both in Secrets Manager as PEM text."""

    certificate_secret: SecretArn = Field(description="Secret with the certificate chain.")
    key_secret: SecretArn = Field(description="Secret with the private key.")


class RouterSettings(Section):
    """The router host(s)."""

    address: Address = Field(
        default=IPv4Address("10.0.0.100"), description="Private address clients connect to; survives replacement."
    )
    port: Port = Field(default=8000, description="Port clients connect to.")
    count: Annotated[int, Field(ge=1, le=6)] = Field(
        default=1, description="Router hosts; from 2 on, behind a network load balancer that owns the address."
    )
    instance_type: InstanceType = Field(
        default="c7i.large", description="Instance type of a router host; no GPU needed."
    )
    image: ImageSettings = Field(default=ImageSettings(), description="Machine image of the router host.")
    volume: VolumeSettings = Field(default=VolumeSettings(), description="Root volume.")
    policy: RouterPolicy = Field(default="cache_aware", description="How a worker is chosen for a request.")
    balance_abs_threshold: Annotated[int, Field(ge=1)] = Field(
        default=2,
        description="cache_aware: balance by load when the busiest worker leads the idlest by more requests than this,",
    )
    balance_rel_threshold: Annotated[float, Field(ge=1.0)] = Field(
        default=1.2, description="and by more than this factor."
    )
    max_concurrent_requests: Annotated[int, Field(ge=1)] = Field(
        default=4096, description="Requests in flight at most; more are answered 429."
    )
    request_timeout_seconds: Seconds = Field(default=1800, description="Longest time a request may take.")
    prometheus_port: Port = Field(
        default=29000, description="Port of the router's own metrics, not reachable from outside."
    )
    discovery_interval_seconds: Seconds = Field(default=2, description="Time between two looks at the fleet.")
    tls: TlsSettings | None = Field(default=None, description="HTTPS on the router's port.")
