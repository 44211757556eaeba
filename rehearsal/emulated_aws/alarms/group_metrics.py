"""What EC2 Auto Scaling publishes of a group every minute, where its metrics are enabled. moto publishes nothing.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
"""

from __future__ import annotations

from moto.autoscaling.models import FakeAutoScalingGroup, autoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends

from rehearsal.emulated_aws.alarms.metric_store import MetricId, store_of
from rehearsal.emulated_aws.alarms.statistics import STANDARD_RESOLUTION, point
from rehearsal.emulated_aws.life_cycle.group import Group
from rehearsal.emulated_aws.life_cycle.states import State
from rehearsal.emulated_aws.scaling_groups import WORLD, group_of, led_groups
from rehearsal.places import ACCOUNT_ID

NAMESPACE = "AWS/AutoScaling"


def figures(group: Group) -> dict[str, int]:
    """The group's own metrics now; the warm pool has others."""
    states = [member.state for member in group.members.values() if not member.state.warmed]
    leaving = sum(state.leaving for state in states)
    serving, standby = states.count(State.IN_SERVICE), states.count(State.STANDBY)
    return {
        "GroupMinSize": group.spec.min_size,
        "GroupMaxSize": group.spec.max_size,
        "GroupDesiredCapacity": group.desired,
        "GroupInServiceInstances": serving,
        "GroupPendingInstances": len(states) - leaving - serving - standby,
        "GroupStandbyInstances": standby,
        "GroupTerminatingInstances": leaving,
        "GroupTotalInstances": len(states),
    }


def publish(region: str) -> None:
    """Publish what each group has enabled, once a minute."""
    now = WORLD.clock.now().timestamp()
    for owner in led_groups(autoscaling_backends[ACCOUNT_ID][region]):
        minute = int(now // STANDARD_RESOLUTION)
        if owner.metrics and getattr(owner, "rehearsal_minute", None) != minute:
            setattr(owner, "rehearsal_minute", minute)  # noqa: B010 - moto's class does not declare it
            _publish(region, owner, now)


def _publish(region: str, owner: FakeAutoScalingGroup, now: float) -> None:
    store = store_of(cloudwatch_backends[ACCOUNT_ID][region])
    for name, value in figures(group_of(owner)).items():
        if name in owner.metrics:
            metric = MetricId(NAMESPACE, name, frozenset({("AutoScalingGroupName", owner.name)}))
            store.add(metric, "None", point(now, [float(value)], resolution=STANDARD_RESOLUTION))
