"""Lifecycle hooks: what holds an instance on its way in or out, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
CONTINUE, ABANDON = "CONTINUE", "ABANDON"

# API_PutLifecycleHook.html: the range and the default of HeartbeatTimeout, in seconds.
HEARTBEAT_LEAST, HEARTBEAT_MOST, HEARTBEAT_DEFAULT = 30, 7200, 3600
# API_LifecycleHook.html, GlobalTimeout: 172800 seconds (48 hours) or 100 times HeartbeatTimeout, the smaller one.
GLOBAL_HEARTBEATS, GLOBAL_SECONDS = 100, 172_800
HOOKS_MOST = 50  # ec2-auto-scaling-quotas.html: per group


class HookError(ValueError):
    """A hook that Auto Scaling refuses, or an action that it does not know."""


@dataclass(frozen=True)
class Hook:
    """A lifecycle hook (API_PutLifecycleHook.html)."""

    name: str
    transition: str
    heartbeat_seconds: int = HEARTBEAT_DEFAULT
    default_result: str = ABANDON

    def check(self) -> None:
        """Compare with what the API takes.

        Raises:
            HookError: a value that it refuses.
        """
        if self.transition not in {LAUNCHING, TERMINATING}:
            raise HookError(f"Invalid value '{self.transition}' for LifecycleTransition")
        if not HEARTBEAT_LEAST <= self.heartbeat_seconds <= HEARTBEAT_MOST:
            raise HookError(
                f"Valid Range for heartbeatTimeout is between {HEARTBEAT_LEAST} and {HEARTBEAT_MOST} seconds"
            )
        if self.default_result not in {CONTINUE, ABANDON}:
            raise HookError(f"Invalid value '{self.default_result}' for DefaultResult")

    @property
    def global_seconds(self) -> int:
        """The longest that it holds an instance, however often it hears a heartbeat (lifecycle-hooks-overview.html)."""
        return min(GLOBAL_HEARTBEATS * self.heartbeat_seconds, GLOBAL_SECONDS)


@dataclass
class Wait:
    """A lifecycle action: one hook holding one instance.

    It keeps the hook as it was when it began: changing a hook does not touch instances that it holds already.
    """

    hook: Hook
    token: str
    since: datetime
    deadline: datetime
    beats: int = 0

    @property
    def limit(self) -> datetime:
        """No heartbeat carries it beyond this time."""
        return self.since + timedelta(seconds=self.hook.global_seconds)

    def beat(self, now: datetime) -> None:
        """Start the heartbeat timeout anew (API_RecordLifecycleActionHeartbeat.html), within the global limit."""
        self.deadline = min(now + timedelta(seconds=self.hook.heartbeat_seconds), self.limit)
        self.beats += 1

    def expired(self, now: datetime) -> bool:
        """Whether the default result counts from now on (lifecycle-hooks-overview.html)."""
        return now >= self.deadline


def begin(hook: Hook, token: str, now: datetime) -> Wait:
    """Start holding an instance."""
    return Wait(hook, token, now, now + timedelta(seconds=hook.heartbeat_seconds))
