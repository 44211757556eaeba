"""Scheduled actions that are carried out. moto 5.2.5 keeps and shows them only."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, FakeScheduledAction, autoscaling_backends

from rehearsal.emulated_aws.alarms.policies import capacity_of, change
from rehearsal.emulated_aws.alarms.schedules import Action, ScheduleError, carried_out, utc
from rehearsal.emulated_aws.extension import extend
from rehearsal.emulated_aws.scaling_groups import WORLD, led, settle
from rehearsal.places import ACCOUNT_ID

log = logging.getLogger(__name__)

SUSPENDED = "ScheduledActions"  # as-suspend-resume-processes.html: what is due meanwhile is not made up for


def action_of(kept: FakeScheduledAction) -> Action:
    """The action that moto keeps."""
    return Action(
        kept.scheduled_action_name,
        kept.recurrence or None,
        kept.time_zone or "UTC",
        _moment(kept.start_time),
        _moment(kept.end_time),
        kept.min_size,
        kept.max_size,
        kept.desired_capacity,
    )


def _moment(given: object) -> datetime | None:
    if not given:
        return None
    return utc(given if isinstance(given, datetime) else datetime.fromisoformat(str(given)))


def _put(self: AutoScalingBackend, *given: Any, **more: Any) -> FakeScheduledAction:  # noqa: ANN401 - handed through
    name = more["scheduled_action_name"]
    before = self.scheduled_actions.get(name)
    kept: FakeScheduledAction = _moto_put(self, *given, **more)
    try:
        action_of(kept).check()
    except ScheduleError as error:
        del self.scheduled_actions[name]
        if before is not None:
            self.scheduled_actions[name] = before
        raise ValidationError(str(error)) from error
    setattr(kept, "rehearsal_looked", WORLD.clock.now())  # noqa: B010 - moto's class does not declare it
    return kept


def carry_out_schedules(region: str) -> None:
    """Carry out what has become due since the last look."""
    backend = autoscaling_backends[ACCOUNT_ID][region]
    now = WORLD.clock.now()
    for kept in list(backend.scheduled_actions.values()):
        owner = backend.autoscaling_groups.get(kept.auto_scaling_group_name)
        since: datetime = getattr(kept, "rehearsal_looked", now)
        setattr(kept, "rehearsal_looked", now)  # noqa: B010 - as above
        if owner is None or not led(owner) or action_of(kept).due(since, now) is None:
            continue
        if all(process["ProcessName"] != SUSPENDED for process in owner.suspended_processes):
            _carry_out(owner, action_of(kept), now)


def _carry_out(owner: FakeAutoScalingGroup, action: Action, now: datetime) -> None:
    after = carried_out(action, capacity_of(settle(owner), 0, now))
    log.info("group %s: scheduled action %s", owner.name, action.name)
    owner.min_size, owner.max_size = after.minimum, after.maximum
    settle(owner)
    limits = f"to min: {after.minimum}, max: {after.maximum}, desired: {after.desired}"
    change(owner, after.desired, f"a scheduled action update of AutoScalingGroup constraints {limits}", now)


_moto_put = AutoScalingBackend.put_scheduled_update_group_action


def install() -> None:
    """Have them checked when they are written; `carry_out_schedules` does the rest."""
    extend(AutoScalingBackend, "put_scheduled_update_group_action", _put)
