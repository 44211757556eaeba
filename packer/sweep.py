"""Removes what a bake made for its own time and did not take away: a failed, interrupted or killed Packer.

Packer cleans up behind itself; this looks whether it did. What is found is planned and removed, round by round, because
EC2 lets a volume, a firewall or a snapshot go only when what uses it is gone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from settings.naming import TAG_BAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef

Kind = Literal["instance", "volume", "key pair", "security group", "image", "snapshot"]
POLL_SECONDS: Final = 3.0
# What holds each kind: it goes when none of these is left.
_AFTER: Final[Mapping[Kind, frozenset[Kind]]] = {
    "instance": frozenset(),
    "key pair": frozenset(),
    "image": frozenset(),
    "volume": frozenset({"instance"}),
    "security group": frozenset({"instance"}),
    "snapshot": frozenset({"image"}),
}
_COMMANDS: Final[Mapping[Kind, str]] = {
    "instance": "terminate-instances --instance-ids",
    "key pair": "delete-key-pair --key-name",
    "image": "deregister-image --image-id",
    "volume": "delete-volume --volume-id",
    "security group": "delete-security-group --group-id",
    "snapshot": "delete-snapshot --snapshot-id",
}
# EC2 API, "Error codes": it is still in use, is gone already, or too much was asked at once.
_PASSING: Final = frozenset(
    {
        "DependencyViolation",
        "IncorrectState",
        "InvalidAMIID.Unavailable",
        "InvalidGroup.InUse",
        "InvalidSnapshot.InUse",
        "RequestLimitExceeded",
        "VolumeInUse",
        *(f"Invalid{name}.NotFound" for name in ("AMIID", "Group", "InstanceID", "KeyPair", "Snapshot", "Volume")),
    }
)
_GONE_STATES: Final = frozenset({"terminated", "deleting", "deregistered"})


@dataclass(frozen=True)
class Traces:
    """By what the things of one bake are known. `image_name` is None when its image is to stay."""

    bake_id: str
    key_pairs: frozenset[str]
    security_groups: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    image_name: str | None = None
    snapshots: frozenset[str] = frozenset()

    def with_found(self, found: Iterable[Leftover]) -> Traces:
        """The same and what was found: when an image is gone, nothing else leads to its snapshots."""
        found = tuple(found)
        instances = {leftover.id for leftover in found if leftover.kind == "instance"}
        snapshots = {leftover.id for leftover in found if leftover.kind == "snapshot"}
        return replace(self, instances=self.instances | instances, snapshots=self.snapshots | snapshots)


@dataclass(frozen=True)
class Leftover:
    """One thing that is there. `going` says that it disappears by itself."""

    kind: Kind
    id: str
    going: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def command(self) -> str:
        """How to remove it by hand."""
        return f"aws ec2 {_COMMANDS[self.kind]} {self.id}"


@dataclass(frozen=True)
class Swept:
    """What a sweep removed, what it had to leave, and what kept it from looking or removing."""

    removed: tuple[Leftover, ...] = ()
    left: tuple[Leftover, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether it is known that nothing is left."""
        return not self.left and not self.problems

    def lines(self) -> Iterator[str]:
        """What there is to say."""
        if self.removed:
            yield f"removed what was left of the bake: {', '.join(map(str, self.removed))}"
        if self.clean:
            yield "nothing of the bake is left in the account"
        yield from (f"still there: {leftover}; remove it with: {leftover.command}" for leftover in self.left)
        yield from (f"could not be cleaned up: {problem}" for problem in self.problems)


def plan_sweep(found: Iterable[Leftover]) -> tuple[Leftover, ...]:
    """What may be removed now: nothing that is going already, nothing that something else still holds."""
    found = tuple(found)
    there = _kinds(found)
    return tuple(leftover for leftover in found if not leftover.going and not _AFTER[leftover.kind] & there)


def sweep(
    ec2: EC2Client,
    traces: Traces,
    patience: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Swept:
    """Remove everything of a bake and look until nothing is left, the patience is over, or waiting would not help."""
    removed: dict[Leftover, None] = {}
    stuck: dict[Leftover, str] = {}
    deadline = clock() + patience
    while True:
        found, problems = _look(ec2, traces)
        traces = traces.with_found(found)
        for leftover in plan_sweep(found):
            refusal = None if leftover in stuck else _remove(ec2, leftover)
            if refusal is None:
                removed.setdefault(leftover)
            elif not refusal.passes:
                stuck[leftover] = refusal.text
        waiting = [
            leftover for leftover in found if leftover not in stuck and not _AFTER[leftover.kind] & _kinds(stuck)
        ]
        if not waiting or clock() >= deadline:
            gone = tuple(leftover for leftover in removed if leftover not in stuck)
            return Swept(gone, tuple(found), (*problems, *stuck.values()))
        sleep(POLL_SECONDS)


def _kinds(leftovers: Iterable[Leftover]) -> set[Kind]:
    return {leftover.kind for leftover in leftovers}


def _look(ec2: EC2Client, traces: Traces) -> tuple[list[Leftover], list[str]]:
    found: dict[tuple[Kind, str], Leftover] = {}
    problems: list[str] = []
    for finder in (_instances, _volumes, _key_pairs, _security_groups, _images_and_snapshots):
        try:
            found |= {(leftover.kind, leftover.id): leftover for leftover in finder(ec2, traces)}
        except ClientError as error:
            problems.append(_said(error))
        except BotoCoreError as error:
            problems.append(str(error))
    return list(found.values()), problems


@dataclass(frozen=True)
class _Refusal:
    """Why something was not removed, and whether the same call may work a little later."""

    text: str
    passes: bool


def _remove(ec2: EC2Client, leftover: Leftover) -> _Refusal | None:
    removals: Mapping[Kind, Callable[[str], object]] = {
        "instance": lambda name: ec2.terminate_instances(InstanceIds=[name]),
        "volume": lambda name: ec2.delete_volume(VolumeId=name),
        "key pair": lambda name: ec2.delete_key_pair(KeyName=name),
        "security group": lambda name: ec2.delete_security_group(GroupId=name),
        "image": lambda name: ec2.deregister_image(ImageId=name),
        "snapshot": lambda name: ec2.delete_snapshot(SnapshotId=name),
    }
    try:
        removals[leftover.kind](leftover.id)
    except ClientError as error:
        return _Refusal(f"{leftover}: {_said(error)}", error.response["Error"]["Code"] in _PASSING)
    except BotoCoreError as error:
        return _Refusal(f"{leftover}: {error}", passes=True)
    return None


def _said(error: ClientError) -> str:
    details = error.response["Error"]
    return f"{error.operation_name}: {details['Code']}: {details['Message']}"


def _tagged(traces: Traces) -> list[FilterTypeDef]:
    return [{"Name": f"tag:{TAG_BAKE}", "Values": [traces.bake_id]}]


def _named(name: str, values: Iterable[str]) -> list[list[FilterTypeDef]]:
    """A filter for these values; none when there are none, since an empty one would find everything."""
    values = sorted(values)
    return [[{"Name": name, "Values": values}]] if values else []


def _instances(ec2: EC2Client, traces: Traces) -> Iterator[Leftover]:
    # By key pair, too: Packer 1.6 tags an instance only after it was launched.
    ways = [
        _tagged(traces),
        *_named("key-name", traces.key_pairs),
        *_named("instance-id", traces.instances),
    ]
    pages = (page for way in ways for page in ec2.get_paginator("describe_instances").paginate(Filters=way))
    for instance in (one for page in pages for group in page["Reservations"] for one in group["Instances"]):
        state = instance["State"]["Name"]
        if state not in _GONE_STATES:
            yield Leftover("instance", instance["InstanceId"], going=state == "shutting-down")


def _volumes(ec2: EC2Client, traces: Traces) -> Iterator[Leftover]:
    ways = [_tagged(traces), *_named("attachment.instance-id", traces.instances)]
    pages = (page for way in ways for page in ec2.get_paginator("describe_volumes").paginate(Filters=way))
    for volume in (one for page in pages for one in page["Volumes"]):
        if volume["State"] not in _GONE_STATES:
            yield Leftover("volume", volume["VolumeId"])


def _key_pairs(ec2: EC2Client, traces: Traces) -> Iterator[Leftover]:
    for way in (_tagged(traces), *_named("key-name", traces.key_pairs)):
        for pair in ec2.describe_key_pairs(Filters=way)["KeyPairs"]:
            yield Leftover("key pair", pair["KeyName"])


def _security_groups(ec2: EC2Client, traces: Traces) -> Iterator[Leftover]:
    for way in (_tagged(traces), *_named("group-name", traces.security_groups)):
        for page in ec2.get_paginator("describe_security_groups").paginate(Filters=way):
            yield from (Leftover("security group", group["GroupId"]) for group in page["SecurityGroups"])


def _images_and_snapshots(ec2: EC2Client, traces: Traces) -> Iterator[Leftover]:
    if traces.image_name is None:
        return
    snapshots = set(traces.snapshots)
    way: Sequence[FilterTypeDef] = [{"Name": "name", "Values": [traces.image_name]}]
    for page in ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=way):
        for image in page["Images"]:
            snapshots |= {mapping.get("Ebs", {}).get("SnapshotId", "") for mapping in image["BlockDeviceMappings"]}
            if image["State"] not in _GONE_STATES:
                yield Leftover("image", image["ImageId"])
    # EC2 writes this description when it makes the snapshots of an image, before Packer can tag them.
    made = [f"Created by CreateImage({instance})*" for instance in traces.instances]
    ways = (
        *_named("description", made),
        *_named("tag:Name", [traces.image_name]),
        *_named("snapshot-id", snapshots - {""}),
    )
    for filters in ways:
        for found in ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters):
            yield from (Leftover("snapshot", snapshot["SnapshotId"]) for snapshot in found["Snapshots"])
