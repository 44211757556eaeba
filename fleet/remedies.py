"""What is known to help: a sentence that a failure's words lead to. The first pattern that is found counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Remedy:
    """`pattern` is looked for in reasons, AWS's messages and the end of the engine's log."""

    pattern: re.Pattern[str]
    advice: str


def _remedy(pattern: str, advice: str) -> Remedy:
    return Remedy(re.compile(pattern, re.IGNORECASE), advice)


# Specific ones first: what merely took too long comes last.
REMEDIES: Final = (
    _remedy(
        r"no kernel image is available",
        "the engine's kernels hold no code for this GPU: choose another GPU family in instance_type, or bake an engine "
        "version that has code for it",
    ),
    # SGLang's own words when weights and graphs leave no room for the cache: the fraction is too low, not too high.
    _remedy(
        r"not enough memory.{0,80}increase.{0,10}mem.fraction.static",
        "raise engine.mem_fraction_static, or choose an instance_type with more GPU memory",
    ),
    _remedy(
        r"CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError",
        "lower engine.mem_fraction_static or engine.context_length, or choose an instance_type with more GPU memory",
    ),
    _remedy(
        r"InsufficientInstanceCapacity|sufficient \S+ capacity",
        "the group goes on trying; add zones to network.availability_zones, or types to spot.other_instance_types",
    ),
    _remedy(
        r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded|exceeds? .{0,40}(vCPU|spot instance) (limit|count)",
        "ask for a higher EC2 quota of this instance family (Service Quotas, running on-demand or spot instances)",
    ),
    _remedy(r"ParameterNotFound", "the SSM parameter is not there: `fleet init` makes the API key"),
    _remedy(r"AccessDenied", "the instance profile lacks a permission: deploy the stack of this pool again"),
    _remedy(
        r"Heartbeat Timeout",
        "the agent did not answer in time: the end of cloud-init's log says whether the host came up; else raise "
        "lifecycle.ready_timeout_seconds",
    ),
    _remedy(
        r"ready_timeout_seconds",
        "if the engine was still at work, raise lifecycle.ready_timeout_seconds; else the end of its log says what "
        "it waits for",
    ),
)


def remedy_for(texts: Iterable[str]) -> str | None:
    """Return the advice of the first remedy that any of the texts calls for, None when none is known."""
    together = "\n".join(texts)
    return next((remedy.advice for remedy in REMEDIES if remedy.pattern.search(together)), None)
