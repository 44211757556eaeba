"""Policies and schedules through boto3, against the emulated AWS in this process."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

pytest.importorskip("moto")

from rehearsal.emulated_aws.scaling_groups import tick
from tests.rehearsal.alarms.api.support import (
    REGION,
    Site,
    boundary,
    query,
    to,
)

pytestmark = pytest.mark.slow  # importing moto takes two seconds


def test_target_tracking_makes_its_alarms_and_takes_them_along(site: Site) -> None:
    answer = site.track()
    names = [alarm["AlarmName"] for alarm in answer["Alarms"]]
    assert [name.rpartition(f"{site.name}-")[2].split("-")[0] for name in names] == ["AlarmHigh", "AlarmLow"]
    (policy,) = site.aws.describe_policies(AutoScalingGroupName=site.name)["ScalingPolicies"]
    assert policy["Alarms"] == answer["Alarms"]
    assert policy["Enabled"] is True
    assert site.alarm(names[0])["AlarmActions"] == [answer["PolicyARN"]]
    (kept,) = site.track(DisableScaleIn=True)["Alarms"]
    assert kept["AlarmName"] == names[0]
    assert site.watch.describe_alarms(AlarmNames=[names[1]])["MetricAlarms"] == []
    site.aws.delete_policy(AutoScalingGroupName=site.name, PolicyName=f"{site.name}-track")
    assert site.watch.describe_alarms(AlarmNames=names)["MetricAlarms"] == []


def test_target_tracking_grows_in_proportion_and_once(site: Site) -> None:
    site.track()
    site.run(60, Load=4)
    assert site.desired == 2
    site.run(20, Load=16)
    assert site.desired == 2
    site.run(10, Load=16)
    assert site.desired == 4
    cause = f"in state ALARM triggered policy {site.name}-track changing the desired capacity from 2 to 4."
    assert cause in site.causes()
    site.run(50, Load=16)  # they warm up, and the metric does not show them yet
    assert site.desired == 4


def test_target_tracking_shrinks_gradually_and_never_without_data(site: Site) -> None:
    site.track()
    site.aws.set_desired_capacity(AutoScalingGroupName=site.name, DesiredCapacity=4)
    site.run(870, Load=1)
    assert site.desired == 4
    site.run(60, Load=1)
    assert site.desired == 3
    site.run(300)
    least = site.desired
    site.run(900)
    assert site.desired == least
    low = next(a for a in site.watch.describe_alarms()["MetricAlarms"] if "AlarmLow" in a["AlarmName"])
    assert low["StateValue"] == "INSUFFICIENT_DATA"


def test_with_scale_in_disabled_a_step_policy_takes_one_at_a_time(site: Site) -> None:
    site.track(DisableScaleIn=True)
    inward = site.step("in", {"MetricIntervalUpperBound": 0, "ScalingAdjustment": -1})
    site.put_alarm("idle", ComparisonOperator="LessThanThreshold", Threshold=4, Period=60, EvaluationPeriods=2,
                   Statistic="Maximum", TreatMissingData="notBreaching", AlarmActions=[inward])  # fmt: skip
    site.aws.set_desired_capacity(AutoScalingGroupName=site.name, DesiredCapacity=4)
    site.run(60, Load=1)
    assert site.desired == 4
    seen = []
    for _ in range(5):
        site.run(60, Load=1)
        seen.append(site.desired)
    assert seen == sorted(seen, reverse=True)
    assert set(seen) >= {3, 2, 1}
    assert "from 4 to 3" in site.causes()
    assert site.desired == 1


def test_a_metric_math_policy(site: Site) -> None:
    load = {"Id": "load", "Expression": "flying / ready", "ReturnData": True}
    metrics = [query("flying", "Flying"), query("ready", "Ready"), load]
    site.aws.put_scaling_policy(
        AutoScalingGroupName=site.name,
        PolicyName=f"{site.name}-math",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={"CustomizedMetricSpecification": {"Metrics": metrics}, "TargetValue": 8},
        EstimatedInstanceWarmup=0,
    )
    site.run(60, Flying=48, Ready=0)
    assert site.desired == 2
    site.run(30, Flying=48, Ready=2)
    assert site.desired == 6


@pytest.mark.parametrize("process", ["AlarmNotification", "ScheduledActions"])
def test_a_suspended_process_does_nothing_until_it_is_resumed(site: Site, process: str) -> None:
    site.track()
    site.aws.suspend_processes(AutoScalingGroupName=site.name, ScalingProcesses=[process])
    site.run(60, Load=16)
    assert site.desired == (2 if process == "AlarmNotification" else 4)
    site.aws.resume_processes(AutoScalingGroupName=site.name, ScalingProcesses=[process])
    site.run(60, Load=16 if process == "AlarmNotification" else 8)
    assert site.desired == 4


def test_execute_policy_and_simple_scaling_with_its_cooldown(site: Site) -> None:
    site.step("out", {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 2})
    execute = {"AutoScalingGroupName": site.name, "PolicyName": f"{site.name}-out"}
    site.aws.execute_policy(MetricValue=9.0, BreachThreshold=8.0, **execute)
    assert site.desired == 4
    site.aws.put_scaling_policy(
        AutoScalingGroupName=site.name,
        PolicyName=f"{site.name}-simple",
        AdjustmentType="ChangeInCapacity",
        ScalingAdjustment=1,
        Cooldown=120,
    )
    simple = {"AutoScalingGroupName": site.name, "PolicyName": f"{site.name}-simple"}
    site.aws.execute_policy(**simple)
    assert site.desired == 4
    site.run(130)
    site.aws.execute_policy(**simple)
    assert site.desired == 5


def test_five_minutes_of_refusals_change_nothing_and_the_step_after_them_is_seen(site: Site) -> None:
    """What the publisher could not send is missing data: here it just sends nothing."""
    site.track()
    site.run(60, Load=4)
    site.run(300)
    assert site.desired == 2
    site.run(30, Load=16)
    assert site.desired == 4


# Schedules.


def test_a_schedule_is_carried_out_and_read_back(site: Site) -> None:
    at = boundary(3600) + timedelta(hours=1)
    site.aws.put_scheduled_update_group_action(
        AutoScalingGroupName=site.name,
        ScheduledActionName=f"{site.name}-morning",
        Recurrence=f"0 {at.hour} * * *",
        TimeZone="Etc/UTC",
        MinSize=3,
    )
    (action,) = site.aws.describe_scheduled_actions(AutoScalingGroupName=site.name)["ScheduledUpdateGroupActions"]
    assert (action["Recurrence"], action["MinSize"]) == (f"0 {at.hour} * * *", 3)
    to(at - timedelta(seconds=2))
    tick(REGION)
    assert site.desired == 2
    to(at + timedelta(seconds=1))
    tick(REGION)
    assert (site.desired, site.group()["MinSize"]) == (3, 3)
    assert "a scheduled action update of AutoScalingGroup constraints to min: 3, max: 8, desired: 3" in site.causes()


def test_a_suspended_schedule_is_not_made_up_for(site: Site) -> None:
    at = boundary(60)
    site.aws.put_scheduled_update_group_action(
        AutoScalingGroupName=site.name, ScheduledActionName=f"{site.name}-once", StartTime=at, DesiredCapacity=5
    )
    site.aws.suspend_processes(AutoScalingGroupName=site.name, ScalingProcesses=["ScheduledActions"])
    to(at + timedelta(seconds=1))
    tick(REGION)
    site.aws.resume_processes(AutoScalingGroupName=site.name, ScalingProcesses=["ScheduledActions"])
    site.run(60)
    assert site.desired == 2


def test_a_bad_schedule_is_refused_and_a_group_takes_its_schedules_along(site: Site) -> None:
    with pytest.raises(ClientError, match=r"ValidationError.*Given recurrence string"):
        site.aws.put_scheduled_update_group_action(
            AutoScalingGroupName=site.name, ScheduledActionName="bad", Recurrence="0 9 * *", MinSize=3
        )
    assert site.aws.describe_scheduled_actions(AutoScalingGroupName=site.name)["ScheduledUpdateGroupActions"] == []
