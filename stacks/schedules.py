"""Scheduled limits of a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdktf_cdktf_provider_aws.autoscaling_schedule import AutoscalingSchedule

if TYPE_CHECKING:
    from constructs import Construct

    from settings.scaling import ScheduleSettings

AS_IT_IS = -1  # of the provider: without it, a limit that is left out becomes 0


def add_schedules(scope: Construct, group_name: str, schedules: tuple[ScheduleSettings, ...]) -> None:
    """Set the group's limits at the times given; how many workers there are between them is the policies' part."""
    for schedule in schedules:
        AutoscalingSchedule(
            scope,
            f"schedule-{schedule.name}",
            autoscaling_group_name=group_name,
            scheduled_action_name=f"{group_name}-{schedule.name}",
            recurrence=schedule.recurrence,
            time_zone=schedule.time_zone,
            min_size=schedule.min_size,
            max_size=AS_IT_IS if schedule.max_size is None else schedule.max_size,
            desired_capacity=AS_IT_IS,
        )
