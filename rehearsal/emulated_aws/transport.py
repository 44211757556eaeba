"""Requests to the emulated AWS count as made over TLS: a policy that denies plain HTTP denies none of them.

AWS endpoints speak TLS; the emulated one is plain HTTP on loopback, which is a matter of the emulation. What moto 5.2.5
does instead: it gives bucket policies no condition values and takes a condition that it cannot check for a denial.
"""

from __future__ import annotations

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket

from rehearsal.emulated_aws.extension import extend


def needs_plain_http(statement: dict[str, Any]) -> bool:
    """Whether a statement applies only to requests without TLS."""
    condition = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    return str(condition).lower() == "false"


def _get_permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    if self.policy is None:
        return PermissionResult.NEUTRAL
    policy = json.loads(self.policy)
    applicable = [statement for statement in policy["Statement"] if not needs_plain_http(statement)]
    if not applicable:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps({**policy, "Statement": applicable})).is_action_permitted(action, resource)


def install() -> None:
    """Put this evaluation of bucket policies in place of moto's."""
    extend(FakeBucket, "get_permission", _get_permission)
