"""Alarms through boto3, against the emulated AWS in this process."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

pytest.importorskip("moto")

from tests.rehearsal.alarms.api.support import (
    Site,
    client,
    messages,
    query,
)

pytestmark = pytest.mark.slow  # importing moto takes two seconds


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
