"""Scaling activities: what a group did and why, in the words of Amazon EC2 Auto Scaling."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

SUCCESSFUL, FAILED, CANCELLED = "Successful", "Failed", "Cancelled"
# One that is open is PreInService, MidLifecycleAction (a hook holds it) or InProgress.
PRE_IN_SERVICE, MID_LIFECYCLE_ACTION, IN_PROGRESS = "PreInService", "MidLifecycleAction", "InProgress"
PROGRESS_OPEN, PROGRESS_DONE = 50, 100


def stamp(now: datetime) -> str:
    """A time as causes have it: whole seconds, Z."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Activity:
    """One entry of DescribeScalingActivities (as-verify-scaling-activity.html, API_Activity.html)."""

    id: str
    description: str
    cause: str
    start: datetime
    zone: str
    subnet: str
    status: str
    end: datetime | None = None
    message: str | None = None

    @property
    def progress(self) -> int:
        """Per cent."""
        return PROGRESS_DONE if self.end is not None else PROGRESS_OPEN

    @property
    def details(self) -> str:
        """Zone and subnet, as the JSON text that the API returns."""
        return json.dumps({"Subnet ID": self.subnet, "Availability Zone": self.zone})

    def close(self, now: datetime, status: str = SUCCESSFUL, message: str | None = None) -> None:
        """End it; a reason also goes into the description, as AWS does. Ending it twice changes nothing."""
        if self.end is not None:
            return
        self.end, self.status, self.message = now, status, message
        if message is not None:
            self.description = f"{self.description}.  Status Reason: {message}"


@dataclass
class ActivityLog:
    """A group's activities, oldest first; the last six weeks in AWS, here all of a session."""

    entries: list[Activity] = field(default_factory=list)

    def add(self, activity: Activity) -> Activity:
        """Write one down."""
        self.entries.append(activity)
        return activity


def no_capacity(instance_type: str, zone: str, others: tuple[str, ...]) -> str:
    """The reason of a launch that found no capacity (ts-as-capacity.html)."""
    choice = f" or choosing {', '.join(others)}" if others else ""
    return (
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
        f"({zone}). Our system will be working on provisioning additional capacity. You can currently get "
        f"{instance_type} capacity by not specifying an Availability Zone in your request{choice}. "
        "Launching EC2 instance failed."
    )


def abandoned(token: str, why: str) -> str:
    """The reason of a launch that a lifecycle action ended (tutorial-lifecycle-hook-instance-metadata.html)."""
    return (
        f"Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {token} was abandoned: {why}"
    )


COMPLETED_WITH_ABANDON = "Lifecycle Action Completed with ABANDON Result"
HEARTBEAT_TIMEOUT = "Heartbeat Timeout"
BECAME_UNHEALTHY = "Instance became unhealthy while waiting for instance to be in InService state."
BY_EC2 = "an EC2 health check indicating it has been terminated or stopped"
BY_USER = "a user health-check"
BY_REFRESH = "an instance refresh"
BY_REBALANCE = "an EC2 instance rebalance recommendation"
BY_SPOT = "an EC2 Spot Instance interruption notice"


def taken_out(now: datetime, why: str) -> str:
    """Cause of a termination that a health check or a refresh asked for (ec2-auto-scaling-health-checks.html)."""
    return f"At {stamp(now)} an instance was taken out of service in response to {why}."


def difference(now: datetime, before: int, after: int) -> str:
    """Cause of a launch or a termination that brings the group to its desired capacity."""
    verb, change = ("started", "increasing") if after > before else ("taken out of service", "shrinking")
    return (
        f"At {stamp(now)} an instance was {verb} in response to a difference between desired and actual capacity, "
        f"{change} the capacity from {before} to {after}."
    )
