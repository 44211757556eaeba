"""What is known to help with a build that failed: the first pattern found in its last words counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


# How the programs on a bake host end: a sentence and, behind the first semicolon, what helps.
_FAULT: Final = re.compile(r"^ERROR [\w.-]+: .+?; (?P<advice>.+)$")


@dataclass(frozen=True)
class Remedy:
    """`advice` may name groups of the pattern."""

    pattern: re.Pattern[str]
    advice: str


def _remedy(pattern: str, advice: str) -> Remedy:
    return Remedy(re.compile(pattern, re.IGNORECASE | re.DOTALL), advice)


# EC2 API reference, "Error codes", and the words of Packer's amazon builder.
REMEDIES: Final = (
    _remedy(
        r"not authorized to perform: (?P<action>[\w*]+:\w+)",
        "allow {action} to the credentials of the bake; docs/images.md has the whole policy",
    ),
    _remedy(
        r"(?P<step>[^\n.:]*): UnauthorizedOperation|UnauthorizedOperation",
        "allow the EC2 action of this step to the credentials of the bake; docs/images.md has the whole policy "
        "(aws sts decode-authorization-message tells more)",
    ),
    _remedy(
        r"AuthFailure|ExpiredToken|RequestExpired|NoCredentialProviders|no valid credential",
        "renew the AWS credentials (aws sso login, or AWS_PROFILE), then bake again",
    ),
    _remedy(
        r"InsufficientInstanceCapacity|sufficient \S+ capacity",
        "AWS has none of these hosts in that zone now: set bake.subnet_id to a subnet of another zone, or another "
        "bake.router_instance_type or worker_instance_type",
    ),
    _remedy(
        r"VcpuLimitExceeded|InstanceLimitExceeded",
        "ask for a higher EC2 quota (Service Quotas, running on-demand standard instances), or use a smaller "
        "bake.worker_instance_type",
    ),
    _remedy(r"VPCIdNotSpecified|no default (VPC|subnet)", "there is no default VPC here: set bake.subnet_id"),
    _remedy(r"InvalidSubnetID", "there is no such subnet in this region: correct bake.subnet_id"),
    _remedy(
        r"No space left on device|ENOSPC|Disk quota exceeded|not enough (free )?space",
        "a volume of the bake host is full: raise volume.size_gib (operating system and engine) or "
        "model_volume.size_gib (weights) of the pool",
    ),
    _remedy(
        r"(sha-?256|hash|git blob|size|checksum)\S*[^\n]{0,120}(mismatch|differs|do(es)? not match|is not|instead of)|"
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "what was downloaded is not what is pinned: bake again; if it stays, a proxy or mirror changes files",
    ),
    _remedy(
        r"GatedRepo|gated repo|(401|403) (Client Error|Unauthorized|Forbidden)",
        "the hub refuses the file: accept the model's terms as the token's owner, and check bake.hub_token_parameter",
    ),
    _remedy(
        r"RepositoryNotFound|RevisionNotFound|EntryNotFound|404 (Client Error|Not Found)",
        "it is gone from the hub, or was renamed: check model_id and model_revision",
    ),
    _remedy(
        r"(not the pinned|fingerprint|BAD signature|Can't check signature)",
        "the CloudWatch agent's package or key is not Amazon's: bake again; if it stays, a mirror on the way is wrong",
    ),
    _remedy(
        r"Timeout waiting for SSH|ssh: handshake failed|unable to authenticate",
        "the bake host cannot be reached: bake.ssh_cidrs must hold the address you connect from, the subnet needs a "
        "way to you (bake.ssh_interface), and a firewall in between must let TCP port 22 out",
    ),
    _remedy(
        r"Temporary failure (in name )?resolution|Could not resolve|Network is unreachable|Connection timed out",
        "the bake host has no way to the Internet: set bake.subnet_id to a subnet that has one (public, or with NAT)",
    ),
    _remedy(r"RequestLimitExceeded|Throttling", "AWS limits the rate of calls: wait some minutes and bake again"),
    _remedy(
        r"(required_plugins|packer init|plugin)[^\n]*(fail|error|could not|unable)",
        "Packer's plugin cannot be fetched: check the network, or install it by hand (packer plugins install "
        "github.com/hashicorp/amazon)",
    ),
)


def remedy_for(lines: Iterable[str]) -> str | None:
    """The advice of the bake host's own programs, or of the first remedy that the lines call for; None without any."""
    lines = tuple(lines)
    told = [matched["advice"] for line in lines if (matched := _FAULT.match(line))]
    if told:
        return told[-1]
    together = "\n".join(lines)
    for remedy in REMEDIES:
        found = remedy.pattern.search(together)
        if found:
            return remedy.advice.format(**found.groupdict())
    return None
