"""Alarms and policies behind the calls of the emulated AWS, and on its clock."""

from __future__ import annotations

from rehearsal.emulated_aws.alarms import alarm_states, metric_answers, metric_store, policies, scheduled
from rehearsal.emulated_aws.scaling_groups import ON_TICK


def install() -> None:
    """Put them into moto, and have them looked at with every tick of the life cycle."""
    metric_store.install()
    metric_answers.install()
    alarm_states.install()
    policies.install()
    scheduled.install()
    ON_TICK.extend((scheduled.carry_out_schedules, alarm_states.evaluate_alarms))
