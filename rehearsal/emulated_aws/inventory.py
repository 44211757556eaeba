"""The emulated EC2 as the supervisor and the metadata service see it: one frozen record per instance.

The only place that reads moto's instance objects; everything else works on `Instance`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from moto.autoscaling.models import autoscaling_backends
from moto.core.types import Base64EncodedString
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance as MotoInstance
from moto.iam.models import iam_backends

from rehearsal.emulated_aws.instances import is_made
from rehearsal.emulated_aws.market import Notices
from rehearsal.emulated_aws.scaling_groups import WORLD, target_states
from rehearsal.places import ACCOUNT_ID


@dataclass(frozen=True)
class Profile:
    """An instance profile, and the role in it (a profile may be empty)."""

    arn: str
    id: str
    role: str | None


@dataclass(frozen=True)
class Instance:
    """An instance, with what its metadata service may tell."""

    id: str
    state: str
    image_id: str
    instance_type: str
    private_ip: str
    private_dns: str
    region: str
    zone: str
    zone_id: str
    subnet_id: str
    vpc_id: str
    mac: str
    architecture: str
    launch_time: str
    ami_launch_index: int
    security_groups: tuple[str, ...]
    user_data: bytes | None
    profile: Profile | None
    tags_in_metadata: bool
    terminate_on_shutdown: bool
    target_state: str | None = None  # of its Auto Scaling group
    notices: Notices | None = None  # what EC2 told it about an interruption
    authorized_key: str | None = None  # what a fresh instance gets of the key pair it was launched with
    devices: tuple[str, ...] = ()  # of its volumes, the root's first
    tags: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def running(self) -> bool:
        """Whether the machine is on."""
        return self.state == "running"


def _profile(attached: dict[str, str] | None) -> Profile | None:
    """The profile of an instance, as IAM knows it now; None when it has none or IAM has deleted it."""
    if not attached:
        return None
    known = iam_backends[ACCOUNT_ID]["aws"].get_instance_profiles()
    found = next((profile for profile in known if profile.arn == attached["Arn"]), None)
    if found is None:
        return None
    return Profile(found.arn, found.id, found.roles[0].name if found.roles else None)


def _authorized_key(instance: MotoInstance) -> str | None:
    """Public key and name of the key pair, as instance metadata gives them (public-keys/0/openssh-key)."""
    pair = instance.ec2_backend.key_pairs.get(instance.key_name)
    if pair is None:
        return None
    kind, material, *_ = pair.public_key.split()
    return f"{kind} {material} {pair.key_name}"


def _devices(instance: MotoInstance) -> tuple[str, ...]:
    root = str(instance.root_device_name)
    return (root, *sorted(str(device) for device, _ in list(instance.get_block_device_mapping) if device != root))


def _user_data(raw: Base64EncodedString | None) -> bytes | None:
    return base64.b64decode(raw.as_bytes()) if raw is not None else None


def _record(instance: MotoInstance, region: str, target_state: str | None) -> Instance:
    nic = instance.nics[0]
    return Instance(
        id=instance.id,
        state=instance.state,
        image_id=instance.image_id,
        instance_type=instance.instance_type,
        private_ip=str(nic.private_ip_address),
        private_dns=instance.private_dns_name,
        region=region,
        zone=str(instance.availability_zone),
        zone_id=nic.subnet.availability_zone_id,
        subnet_id=nic.subnet.id,
        vpc_id=nic.subnet.vpc_id,
        mac=nic.mac_address,
        architecture=str(instance.architecture),
        launch_time=instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ami_launch_index=int(instance.ami_launch_index),
        security_groups=tuple(sorted({group.name for group in nic.group_set})),
        user_data=_user_data(instance.user_data),
        profile=_profile(instance.iam_instance_profile),
        tags_in_metadata=instance.metadata_options.instance_metadata_tags == "enabled",
        terminate_on_shutdown=instance.instance_initiated_shutdown_behavior == "terminate",
        target_state=target_state,
        notices=WORLD.market.notices.get(instance.id),
        authorized_key=_authorized_key(instance),
        devices=_devices(instance),
        tags={str(tag["key"]): str(tag["value"]) for tag in instance.get_tags()},
    )


def instances(region: str) -> tuple[Instance, ...]:
    """Every instance of a region that is not terminated.

    An instance appears when it has been made, and not while it is being made.
    """
    backend = ec2_backends[ACCOUNT_ID][region]
    known = [
        instance for reservation in list(backend.reservations.values()) for instance in list(reservation.instances)
    ]
    alive = [instance for instance in known if instance.state != "terminated" and is_made(instance)]
    targets = target_states(region)
    return tuple(_record(instance, region, targets.get(instance.id)) for instance in alive)


def power_off(region: str, instance: Instance) -> None:
    """What EC2 does when a machine shuts itself down: stop it, or terminate it if it was launched that way."""
    backend = ec2_backends[ACCOUNT_ID][region]
    if instance.terminate_on_shutdown:
        backend.terminate_instances([instance.id])
        autoscaling_backends[ACCOUNT_ID][region].notify_terminate_instances([instance.id])  # its group replaces it
    else:
        backend.stop_instances([instance.id])
