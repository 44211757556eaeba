"""The instance metadata service, version 2 only: one per machine, on the machine's own address.

Only what EC2 knows about the instance is told, read afresh from the emulated EC2 at each request. Paths and answers
after the EC2 user guide, "Instance metadata categories"; what is absent is answered 404, a missing token 401.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from rehearsal.emulated_aws.inventory import Instance, Profile
from rehearsal.http_server import Handler, Request, Response
from rehearsal.places import ACCOUNT_ID

TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a name
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 - a name
TOKEN_TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"  # noqa: S105 - a name
TOKEN_TTL_MAX_SECONDS = 21_600  # EC2 user guide: six hours
CREDENTIALS_LIFE = timedelta(hours=6)


def _identity_document(instance: Instance) -> str:
    document = {
        "accountId": ACCOUNT_ID,
        "architecture": instance.architecture,
        "availabilityZone": instance.zone,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "pendingTime": instance.launch_time,
        "privateIp": instance.private_ip,
        "region": instance.region,
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2, sort_keys=True)


def _credentials(instance: Instance, now: datetime) -> str:
    """Temporary credentials of the instance's role: dummies of the right form, since moto accepts any."""
    document = {
        "Code": "Success",
        "LastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAREHEARSAL" + instance.id[-7:].upper(),
        "SecretAccessKey": "rehearsal",
        "Token": f"rehearsal-{instance.id}",
        "Expiration": (now + CREDENTIALS_LIFE).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return json.dumps(document, indent=2)


def _profile(profile: Profile, now: datetime) -> str:
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "Code": "Success",
        "LastUpdated": stamp,
        "InstanceProfileArn": profile.arn,
        "InstanceProfileId": profile.id,
    }
    return json.dumps(document, indent=2)


def _role_leaves(instance: Instance, now: datetime) -> dict[str, str]:
    profile = instance.profile
    if profile is None:
        return {}
    info = {"meta-data/iam/info": _profile(profile, now)}
    if profile.role is None:
        return info
    return info | {f"meta-data/iam/security-credentials/{profile.role}": _credentials(instance, now)}


def _network_leaves(instance: Instance) -> dict[str, str]:
    base = f"meta-data/network/interfaces/macs/{instance.mac}"
    return {
        f"{base}/local-ipv4s": instance.private_ip,
        f"{base}/subnet-id": instance.subnet_id,
        f"{base}/vpc-id": instance.vpc_id,
    }


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _life_cycle_leaves(instance: Instance) -> dict[str, str]:
    """What only some instances have, and only for a time.

    Auto Scaling user guide, retrieving-target-lifecycle-state-through-imds.html; EC2 user guide,
    spot-instance-termination-notices.html and rebalance-recommendations.html.
    """
    found = {}
    if instance.target_state is not None:
        found["meta-data/autoscaling/target-lifecycle-state"] = instance.target_state
    if instance.notices is not None:
        recommendation = json.dumps({"noticeTime": _iso(instance.notices.noticed)})
        found["meta-data/events/recommendations/rebalance"] = recommendation
    if instance.notices is not None and instance.notices.ends is not None:
        action = {"action": "terminate", "time": _iso(instance.notices.ends)}
        found["meta-data/spot/instance-action"] = json.dumps(action)
        found["meta-data/spot/termination-time"] = action["time"]
    return found


def leaves(instance: Instance, now: datetime) -> dict[str, str]:
    """Every path below `/latest/` that has a value, with its value."""
    tags = instance.tags if instance.tags_in_metadata else {}
    found = {
        "meta-data/ami-id": instance.image_id,
        "meta-data/ami-launch-index": str(instance.ami_launch_index),
        "meta-data/hostname": instance.private_dns,
        "meta-data/instance-id": instance.id,
        "meta-data/instance-type": instance.instance_type,
        "meta-data/local-hostname": instance.private_dns,
        "meta-data/local-ipv4": instance.private_ip,
        "meta-data/mac": instance.mac,
        "meta-data/placement/availability-zone": instance.zone,
        "meta-data/placement/availability-zone-id": instance.zone_id,
        "meta-data/placement/region": instance.region,
        "meta-data/security-groups": "\n".join(instance.security_groups),
        "meta-data/services/domain": "amazonaws.com",
        "meta-data/services/partition": "aws",
        "dynamic/instance-identity/document": _identity_document(instance),
        **{f"meta-data/tags/instance/{key}": value for key, value in tags.items()},
    }
    return found | _role_leaves(instance, now) | _network_leaves(instance) | _life_cycle_leaves(instance)


def listing(paths: list[str], folder: str) -> str | None:
    """Children of a folder, one a line, folders with a slash; None when there is no such folder."""
    prefix = f"{folder}/" if folder else ""
    below = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
    children = {f"{child.partition('/')[0]}/" if "/" in child else child for child in below}
    return "\n".join(sorted(children)) if children else None


@dataclass
class Outage:
    """Which metadata services do not answer."""

    everywhere: bool = False
    instances: set[str] = field(default_factory=set)

    def begin(self, instance_id: str | None) -> None:
        """For one instance, or for every one there is and will be."""
        if instance_id is None:
            self.everywhere = True
        else:
            self.instances.add(instance_id)

    def end(self) -> None:
        """Everywhere."""
        self.everywhere = False
        self.instances.clear()

    def covers(self, instance_id: str) -> bool:
        """Whether the instance's metadata service is down."""
        return self.everywhere or instance_id in self.instances

    def around(self, instance_id: str, handler: Handler) -> Handler:
        """An instance's handler, silent during the outage."""
        return lambda request: None if self.covers(instance_id) else handler(request)


class MetadataService:
    """Answers for one machine."""

    def __init__(self, lookup: Callable[[], Instance | None], clock: Callable[[], float] = time.monotonic) -> None:
        """`lookup` returns the instance as EC2 sees it now, or None when it is gone."""
        self._lookup = lookup
        self._clock = clock
        self._tokens: dict[str, float] = {}

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.method != "GET":
            return Response(HTTPStatus.METHOD_NOT_ALLOWED)
        if self._tokens.get(request.headers.get(TOKEN_HEADER, ""), float("-inf")) < self._clock():
            return Response(HTTPStatus.UNAUTHORIZED)
        return self._get(request.path)

    def _token(self, request: Request) -> Response:
        if request.method != "PUT":
            return Response(HTTPStatus.METHOD_NOT_ALLOWED)
        text = request.headers.get(TOKEN_TTL_HEADER, "")
        if not text.isdecimal() or not 1 <= int(text) <= TOKEN_TTL_MAX_SECONDS:
            return Response(HTTPStatus.BAD_REQUEST)
        if "x-forwarded-for" in request.headers:
            return Response(HTTPStatus.FORBIDDEN)  # EC2 refuses tokens to proxied requests
        now = self._clock()
        self._tokens = {token: end for token, end in self._tokens.items() if end >= now}
        token = secrets.token_urlsafe(40)
        self._tokens[token] = now + int(text)
        return Response(HTTPStatus.OK, token.encode(), headers={TOKEN_TTL_HEADER: text})

    def _get(self, path: str) -> Response:
        instance = self._lookup()
        if instance is None:
            return Response(HTTPStatus.NOT_FOUND)
        wanted = path.removeprefix("/latest").strip("/")
        if wanted == "user-data":
            found = instance.user_data is not None
            return Response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND, instance.user_data or b"")
        known = leaves(instance, datetime.now(UTC))
        text = known.get(wanted) if wanted in known else listing(list(known), wanted)
        if text is None or not path.startswith("/latest"):
            return Response(HTTPStatus.NOT_FOUND)
        return Response(HTTPStatus.OK, text.encode())
