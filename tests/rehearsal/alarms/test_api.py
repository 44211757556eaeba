"""Alarms and policies through boto3, against the emulated AWS in this process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytest.importorskip("moto")

from rehearsal.emulated_aws.installation import install_extensions
from rehearsal.emulated_aws.scaling_groups import WORLD, tick
from rehearsal.emulated_aws.server import ApiServer
from tests.rehearsal.alarms.support import (
    DIMENSIONS,
    HOST,
    NAMESPACE,
    PERIOD,
    PORT,
    REGION,
    Site,
    boundary,
    client,
    messages,
    now,
    query,
    to,
)

pytestmark = pytest.mark.slow  # importing moto takes two seconds

NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    install_extensions()
    made = ApiServer(HOST, PORT)
    made.start()
    yield
    made.stop()


@pytest.fixture
def site(server: None) -> Iterator[Site]:  # noqa: ARG001 - it has to run
    """A group of 2 of at most 8 that scales by itself; each test has hours of its own, so that no data is another's."""
    aws, ec2, watch = client("autoscaling"), client("ec2"), client("cloudwatch")
    number = next(NUMBERS)
    name = f"alarmed-{number}"
    to(now() + timedelta(hours=8 * number))
    to(boundary(60))
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "g6e.xlarge"}
    )
    aws.create_auto_scaling_group(
        AutoScalingGroupName=name,
        VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
        MinSize=1,
        MaxSize=8,
        DesiredCapacity=2,
        HealthCheckGracePeriod=0,
    )
    made = Site(name, aws, watch)
    made.run(60)
    yield made
    aws.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    left = [alarm["AlarmName"] for alarm in watch.describe_alarms()["MetricAlarms"]]
    watch.delete_alarms(AlarmNames=[alarm for alarm in left if alarm.startswith(name)])
    WORLD.clock.ahead = timedelta()  # other tests of this process share the clock


# Metrics.


def data(site: Site, *queries: dict[str, Any]) -> dict[str, list[float]]:
    answer = site.watch.get_metric_data(
        MetricDataQueries=list(queries),
        StartTime=now() - timedelta(minutes=5),
        EndTime=now() + timedelta(seconds=1),
        ScanBy="TimestampAscending",
    )
    return {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}


def test_values_with_counts_and_statistic_sets_are_kept(site: Site) -> None:
    to(boundary(PERIOD) + timedelta(seconds=1))
    datum = {"MetricName": "Many", "Dimensions": DIMENSIONS, "Timestamp": now(), "StorageResolution": 1}
    site.watch.put_metric_data(Namespace=NAMESPACE, MetricData=[{**datum, "Values": [1.0, 5.0], "Counts": [3.0, 1.0]}])
    sums = {"SampleCount": 2.0, "Sum": 12.0, "Minimum": 4.0, "Maximum": 8.0}
    site.watch.put_metric_data(Namespace=NAMESPACE, MetricData=[{**datum, "StatisticValues": sums}])
    shown = {name: {**query(name, "Many", Stat=stat), "ReturnData": True} for name, stat in STATISTICS.items()}
    assert data(site, *shown.values()) == {"a": [20 / 6], "b": [20], "c": [6], "d": [8]}
    (row,) = site.watch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="Many",
        Dimensions=DIMENSIONS,
        StartTime=now() - timedelta(minutes=1),
        EndTime=now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum", "Maximum"],
    )["Datapoints"]
    assert (row["Sum"], row["Maximum"]) == (20, 8)


STATISTICS = {"a": "Average", "b": "Sum", "c": "SampleCount", "d": "Maximum"}


def test_a_standard_metric_is_not_seen_at_ten_seconds(site: Site) -> None:
    to(boundary(60) + timedelta(seconds=35))
    site.put("Slow", 4.0, StorageResolution=60)
    site.put("Fast", 4.0)
    answer = site.watch.get_metric_data(
        MetricDataQueries=[{**query(name, name.capitalize()), "ReturnData": True} for name in ("slow", "fast")],
        StartTime=now() - timedelta(minutes=2),
        EndTime=now() + timedelta(minutes=1),
    )
    slow, fast = (result["Timestamps"][0].second for result in answer["MetricDataResults"])
    assert (slow, fast) == (0, 30)


def test_the_dimensions_of_a_metric_are_part_of_it(site: Site) -> None:
    site.run(10, Load=3)
    other = [{**DIMENSIONS[0]}]
    site.watch.put_metric_data(
        Namespace=NAMESPACE, MetricData=[{"MetricName": "Load", "Dimensions": other, "Value": 99, "Timestamp": now()}]
    )
    assert data(site, {**query("m", "Load"), "ReturnData": True}) == {"m": [3]}
    listed = site.watch.list_metrics(Namespace=NAMESPACE, MetricName="Load")["Metrics"]
    assert other in [metric["Dimensions"] for metric in listed]


def test_metric_math_is_worked_out(site: Site) -> None:
    site.run(20, Flying=12, Ready=3)
    site.run(10, Flying=12, Ready=1)
    expression = {"Id": "e", "Expression": "flying / (ready - 1)", "ReturnData": True}
    assert data(site, query("flying", "Flying"), query("ready", "Ready"), expression) == {"e": [6, 6]}
    filled = {"Id": "e", "Expression": "SUM([FILL(flying, 0), 1 / 2])"}
    assert data(site, query("flying", "Flying"), filled)["e"][-4:] == [12.5, 12.5, 12.5, 0.5]
    with pytest.raises(ClientError, match=r"ValidationError.*Unsupported function 'RATE'"):
        data(site, query("flying", "Flying"), {"Id": "e", "Expression": "RATE(flying)"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(site: Site, value: float) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        site.put("Load", value)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        site.watch.put_metric_data(Namespace=NAMESPACE, MetricData=[{"MetricName": "Load", "Values": [1.0, value]}])
    assert data(site, {**query("m", "Load"), "ReturnData": True}) == {"m": []}


# Alarms.


def test_an_alarm_goes_through_its_states_and_tells_the_topic(site: Site) -> None:
    topic = client("sns").create_topic(Name=site.name)["TopicArn"]
    name = site.put_alarm(
        "load", AlarmActions=[topic], OKActions=[topic], Tags=[{"Key": "a", "Value": "b"}], DatapointsToAlarm=2
    )
    assert site.alarm(name)["StateValue"] == "INSUFFICIENT_DATA"
    assert site.alarm(name)["StateReason"] == "Unchecked: Initial alarm creation"
    site.run(30, Load=3)
    assert site.alarm(name)["StateValue"] == "OK"
    site.run(10, Load=9)
    assert site.alarm(name)["StateValue"] == "OK"
    site.run(40, Load=9)
    assert site.alarm(name)["StateValue"] == "ALARM"
    assert "2 out of the last 2 datapoints [9.0 (" in site.alarm(name)["StateReason"]
    site.run(10, Load=3)
    told = [(message["OldStateValue"], message["NewStateValue"]) for message in messages(topic)]
    assert told == [("INSUFFICIENT_DATA", "OK"), ("OK", "ALARM"), ("ALARM", "OK")]
    history = site.watch.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in history][:2] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
    ]
    tags = site.watch.list_tags_for_resource(ResourceARN=site.alarm(name)["AlarmArn"])["Tags"]
    assert tags == [{"Key": "a", "Value": "b"}]


def test_an_alarm_without_data_says_so(site: Site) -> None:
    silent, good = site.put_alarm("silent"), site.put_alarm("good", TreatMissingData="notBreaching")
    site.run(10, Load=3)
    assert [site.alarm(name)["StateValue"] for name in (silent, good)] == ["OK", "OK"]
    site.run(60)
    assert [site.alarm(name)["StateValue"] for name in (silent, good)] == ["INSUFFICIENT_DATA", "OK"]


def test_an_alarm_on_an_expression(site: Site) -> None:
    rest = {"Id": "rest", "Expression": "flying / (ready - 1)", "Label": "rest", "ReturnData": True}
    name = site.put_alarm("rest", Metrics=[query("flying", "Flying"), query("ready", "Ready"), rest], Threshold=5)
    site.run(30, Flying=12, Ready=3)
    assert site.alarm(name)["StateValue"] == "ALARM"
    site.run(30, Flying=12, Ready=4)
    assert site.alarm(name)["StateValue"] == "OK"
    site.run(60, Flying=12, Ready=1)
    assert site.alarm(name)["StateValue"] == "INSUFFICIENT_DATA"  # division by zero


def test_an_update_keeps_the_state_and_a_bad_one_the_alarm(site: Site) -> None:
    name = site.put_alarm("load")
    site.run(30, Load=9)
    site.put_alarm("load", AlarmDescription="again")
    assert (site.alarm(name)["StateValue"], site.alarm(name)["AlarmDescription"]) == ("ALARM", "again")
    for bad in (
        {"Period": 15},
        {"DatapointsToAlarm": 3},
        {"TreatMissingData": "maybe"},
        {"ComparisonOperator": "LessThanLowerThreshold"},
        {"Metrics": [query("m", "Load"), {"Id": "e", "Expression": "m + n"}]},
        {"Metrics": [query("m", "Load")]},
    ):
        with pytest.raises(ClientError, match="ValidationError"):
            site.put_alarm("load", **bad)
    assert site.alarm(name)["AlarmDescription"] == "again"


def test_a_state_set_by_hand_acts_and_does_not_last(site: Site) -> None:
    out = site.step("out", {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1})
    name = site.put_alarm("load", AlarmActions=[out])
    site.run(30, Load=3)
    site.watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    assert site.alarm(name)["StateReason"] == "a test"
    site.run(10, Load=3)
    assert site.alarm(name)["StateValue"] == "OK"


# Policies.


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
