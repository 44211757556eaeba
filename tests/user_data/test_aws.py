from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from user_data.agent.aws import (
    AwsError,
    Fleet,
    FleetView,
    GroupMember,
    Metrics,
    SecretFormatError,
    Worker,
    get_secret_parameter,
)

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from tests.user_data.conftest import LogLines, StubFactory

GROUPS_ASKED = {"Filters": [{"Name": "tag:sglang-fleet:deployment", "Values": ["fleet"]}], "MaxRecords": 100}
GOOD_TAGS = {"sglang-fleet:pool": "default", "sglang-fleet:model": "org/Tiny", "sglang-fleet:engine-port": "30000"}


def _instance(key: str, state: str = "InService", health: str = "Healthy") -> dict[str, Any]:
    return {
        "InstanceId": key,
        "LifecycleState": state,
        "HealthStatus": health,
        "AvailabilityZone": "eu-central-1a",
        "ProtectedFromScaleIn": False,
    }


def _group(name: str, *instances: dict[str, Any], tags: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": name,
        "MinSize": 0,
        "MaxSize": 9,
        "DesiredCapacity": 1,
        "DefaultCooldown": 1,
        "AvailabilityZones": ["eu-central-1a"],
        "HealthCheckType": "EC2",
        "CreatedTime": "2026-01-01T00:00:00Z",
        "Instances": list(instances),
        "Tags": [{"Key": key, "Value": value} for key, value in (GOOD_TAGS if tags is None else tags).items()],
    }


def _addresses(**addresses: str) -> dict[str, Any]:
    instances = [{"InstanceId": f"i-{key}", "PrivateIpAddress": value} for key, value in addresses.items()]
    return {"Reservations": [{"Instances": instances}]}


def _asked(*ids: str) -> dict[str, Any]:
    return {"Filters": [{"Name": "instance-id", "Values": list(ids)}]}


class Aws:
    """A fleet over two stubs."""

    def __init__(self, stub: StubFactory, lines: LogLines) -> None:
        autoscaling, self.autoscaling = stub("autoscaling")
        ec2, self.ec2 = stub("ec2")
        self.fleet = Fleet("fleet", autoscaling, ec2, lines.log)

    def groups(self, *groups: dict[str, Any]) -> None:
        self.autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": list(groups)}, GROUPS_ASKED)


@pytest.fixture
def aws(stub: StubFactory, lines: LogLines) -> Aws:
    return Aws(stub, lines)


def test_workers_are_found_by_tag_with_what_their_group_says(aws: Aws) -> None:
    aws.groups(
        _group("g", _instance("i-a"), _instance("i-b", "Terminating:Wait"), _instance("i-c", health="Unhealthy"))
    )
    aws.ec2.add_response("describe_instances", _addresses(a="10.0.1.1"), _asked("i-a"))
    members = aws.fleet.view().workers
    assert members[0] == Worker("i-a", "default", "org/Tiny", 30000, "InService", healthy=True, address="10.0.1.1")
    assert members[0].url == "http://10.0.1.1:30000"
    assert [(member.instance_id, member.in_service) for member in members] == [
        ("i-a", True),
        ("i-b", False),
        ("i-c", False),
    ]


def test_pools_are_known_without_workers_and_without_another_call(aws: Aws) -> None:
    second = {**GOOD_TAGS, "sglang-fleet:pool": "big"}
    aws.groups(_group("g"), _group("h", tags=second), _group("i"), _group("odd", tags={}))
    models = dict.fromkeys(("big", "default"), "org/Tiny")
    assert aws.fleet.view() == FleetView(pools=("big", "default"), workers=(), models=models)


def test_steady_state_is_one_call_and_a_new_worker_one_more(aws: Aws) -> None:
    aws.groups(_group("g", _instance("i-a")))
    aws.ec2.add_response("describe_instances", _addresses(a="10.0.1.1"), _asked("i-a"))
    assert len(aws.fleet.view().in_service) == 1
    aws.groups(_group("g", _instance("i-a")))
    assert len(aws.fleet.view().in_service) == 1
    aws.groups(_group("g", _instance("i-a"), _instance("i-b")))
    aws.ec2.add_response("describe_instances", _addresses(b="10.0.1.2"), _asked("i-b"))
    assert [worker.url for worker in aws.fleet.view().in_service] == ["http://10.0.1.1:30000", "http://10.0.1.2:30000"]


def test_every_page_is_read(aws: Aws) -> None:
    page = {"AutoScalingGroups": [_group("g", _instance("i-a"))], "NextToken": "more"}
    aws.autoscaling.add_response("describe_auto_scaling_groups", page, GROUPS_ASKED)
    last = {"AutoScalingGroups": [_group("h", _instance("i-b"))]}
    aws.autoscaling.add_response("describe_auto_scaling_groups", last, {**GROUPS_ASKED, "NextToken": "more"})
    aws.ec2.add_response("describe_instances", _addresses(a="10.0.1.1", b="10.0.1.2"), _asked("i-a", "i-b"))
    assert len(aws.fleet.view().in_service) == 2


def test_many_addresses_are_asked_for_in_batches(aws: Aws) -> None:
    ids = [f"i-{number:04}" for number in range(201)]
    aws.groups(_group("g", *map(_instance, ids)))
    for batch in (ids[:200], ids[200:]):
        reply = _addresses(**{key[2:]: "10.0.0.1" for key in batch})
        aws.ec2.add_response("describe_instances", reply, _asked(*batch))
    assert len(aws.fleet.view().in_service) == 201


def test_a_worker_without_an_address_yet_is_not_in_service(aws: Aws) -> None:
    aws.groups(_group("g", _instance("i-a")))
    aws.ec2.add_response("describe_instances", {"Reservations": [{"Instances": [{"InstanceId": "i-a"}]}]})
    assert aws.fleet.view().in_service == ()


def test_a_group_without_our_tags_is_told_once_and_does_not_stop_the_rest(aws: Aws, lines: LogLines) -> None:
    for _ in range(2):
        aws.groups(_group("odd", _instance("i-z"), tags={"sglang-fleet:pool": "p"}))
        assert aws.fleet.view().workers == ()
    (told,) = lines.named("group_refused")
    assert told["group"] == "odd"
    assert told["missing_tags"] == ["sglang-fleet:model", "sglang-fleet:engine-port"]


def test_the_error_code_is_kept(aws: Aws) -> None:
    aws.autoscaling.add_client_error("describe_auto_scaling_groups", "Throttling", "Rate exceeded")
    with pytest.raises(AwsError) as caught:
        aws.fleet.view()
    assert (caught.value.code, caught.value.throttled) == ("Throttling", True)
    assert str(caught.value) == "autoscaling:DescribeAutoScalingGroups: Throttling: Rate exceeded"


def test_a_network_error_is_named(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise ConnectTimeoutError(endpoint_url="http://127.64.0.1")

    monkeypatch.setattr(aws.fleet._autoscaling, "get_paginator", fail)
    with pytest.raises(AwsError) as caught:
        aws.fleet.view()
    assert (caught.value.code, caught.value.throttled) == ("ConnectTimeoutError", False)


def _parameter(stub: StubFactory, value: str) -> tuple[Any, Stubber]:
    client, stubber = stub("ssm")
    asked = {"Name": "/k", "WithDecryption": True}
    stubber.add_response("get_parameter", {"Parameter": {"Name": "/k", "Value": value}}, asked)
    return client, stubber


def test_the_api_key_is_read_decrypted(stub: StubFactory) -> None:
    client, _ = _parameter(stub, "sk-0123456789abcdef")
    assert get_secret_parameter("/k", "eu-central-1", client) == "sk-0123456789abcdef"


@pytest.mark.parametrize("value", ["-starts-with-a-dash", "short", "with space in it", "line\nbreak-in-it"])
def test_a_key_that_no_program_could_carry_is_refused_without_showing_it(stub: StubFactory, value: str) -> None:
    client, _ = _parameter(stub, value)
    with pytest.raises(SecretFormatError) as caught:
        get_secret_parameter("/k", "eu-central-1", client)
    assert value not in str(caught.value)
    assert str(caught.value).startswith("/k: the value is not usable as an API key; use at least 8 letters")


def test_a_missing_parameter_keeps_its_code(stub: StubFactory) -> None:
    client, stubber = stub("ssm")
    stubber.add_client_error("get_parameter", "ParameterNotFound")
    with pytest.raises(AwsError) as caught:
        get_secret_parameter("/k", "eu-central-1", client)
    assert caught.value.code == "ParameterNotFound"


DATUM: dict[str, Any] = {"MetricName": "LoadPerWorker", "Value": 0.0, "StorageResolution": 1}


def test_values_go_to_the_namespace_in_one_call(stub: StubFactory) -> None:
    client, stubber = stub("cloudwatch")
    stubber.add_response("put_metric_data", {}, {"Namespace": "sglang-fleet", "MetricData": [DATUM, DATUM]})
    Metrics("sglang-fleet", client).put([DATUM, DATUM])  # type: ignore[list-item]


def test_a_refused_value_keeps_its_code(stub: StubFactory) -> None:
    client, stubber = stub("cloudwatch")
    stubber.add_client_error("put_metric_data", "AccessDenied", "no")
    with pytest.raises(AwsError, match=r"^cloudwatch:PutMetricData: AccessDenied: no$"):
        Metrics("sglang-fleet", client).put([])


HOOK_CALL = {"AutoScalingGroupName": "fleet-default", "LifecycleHookName": "h", "InstanceId": "i-a"}


@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_a_hook_is_completed_for_this_instance(stub: StubFactory, result: Any) -> None:
    client, stubber = stub("autoscaling")
    stubber.add_response("complete_lifecycle_action", {}, {**HOOK_CALL, "LifecycleActionResult": result})
    GroupMember("fleet-default", "i-a", client).complete_lifecycle_action("h", result)


def test_a_heartbeat_is_recorded_for_this_instance(stub: StubFactory) -> None:
    client, stubber = stub("autoscaling")
    stubber.add_response("record_lifecycle_action_heartbeat", {}, HOOK_CALL)
    GroupMember("fleet-default", "i-a", client).record_heartbeat("h")


def test_unhealthy_does_not_wait_for_the_grace_period(stub: StubFactory) -> None:
    client, stubber = stub("autoscaling")
    asked = {"InstanceId": "i-a", "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
    stubber.add_response("set_instance_health", {}, asked)
    GroupMember("fleet-default", "i-a", client).set_unhealthy()


def test_termination_keeps_the_capacity(stub: StubFactory) -> None:
    client, stubber = stub("autoscaling")
    asked = {"InstanceId": "i-a", "ShouldDecrementDesiredCapacity": False}
    stubber.add_response("terminate_instance_in_auto_scaling_group", {}, asked)
    GroupMember("fleet-default", "i-a", client).terminate_in_group()


def test_a_hook_that_holds_nothing_is_told_apart(stub: StubFactory) -> None:
    client, stubber = stub("autoscaling")
    text = "No active Lifecycle Action found with instance ID i-a"
    stubber.add_client_error("complete_lifecycle_action", "ValidationError", text)
    with pytest.raises(AwsError) as caught:
        GroupMember("fleet-default", "i-a", client).complete_lifecycle_action("h", "CONTINUE")
    assert (caught.value.invalid, caught.value.throttled) == (True, False)
    assert str(caught.value) == f"autoscaling:CompleteLifecycleAction: ValidationError: {text}"
