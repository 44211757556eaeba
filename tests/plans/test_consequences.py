from __future__ import annotations

import json

import pytest

from tests.plans.made_up import change, said

HOST = {"private_ip": "10.0.0.100", "instance_type": "c7i.large", "ami": "ami-1", "user_data_base64": "a"}
REFRESH = [{"preferences": [{"min_healthy_percentage": 90}]}]
GROUP = {
    "min_size": 2,
    "max_size": 4,
    "desired_capacity": 3,
    "instance_refresh": REFRESH,
    "launch_template": [{"version": "1"}],
}


def test_a_replaced_router_keeps_its_address_and_is_away_for_a_while() -> None:
    new = {**HOST, "ami": "ami-2"}
    host = change("aws_instance", "delete", "create", before=HOST, after=new, replace_paths=[["ami"]])
    (found,) = said("router", host)
    assert found == (
        "destructive: replaces the router: its address 10.0.0.100 stays, about 75 s without service, streams in flight "
        "break (new image ami-1 → ami-2)"
    )


def test_what_the_router_reads_at_boot_is_the_reason() -> None:
    def node(policy: str) -> str:
        return json.dumps({"router": {"policy": policy, "port": 8000}})

    outputs = {"node_config": {"actions": ["update"], "before": node("cache_aware"), "after": node("round_robin")}}
    host = change(
        "aws_instance",
        "delete",
        "create",
        before=HOST,
        after={**HOST, "user_data_base64": "b"},
        replace_paths=[["user_data_base64"]],
    )
    (found,) = said("router", host, outputs=outputs)
    assert found.endswith("(router.policy cache_aware → round_robin)")


def test_a_router_of_another_size_is_stopped() -> None:
    (found,) = said(
        "router", change("aws_instance", "update", before=HOST, after={**HOST, "instance_type": "c7i.xlarge"})
    )
    assert found.startswith("destructive: stops and starts router host aws_instance.it (c7i.large → c7i.xlarge)")


def test_who_may_reach_the_router() -> None:
    rules = [
        change(
            "aws_vpc_security_group_ingress_rule",
            "update",
            before={"cidr_ipv4": "10.1.0.0/16"},
            after={"cidr_ipv4": "10.2.0.0/16"},
        ),
        change("aws_instance", "no-op", before=HOST, after=HOST),
    ]
    assert said("router", *rules) == [
        "note: lets clients in from 10.2.0.0/16",
        "note: shuts clients out from 10.1.0.0/16",
    ]


def test_workers_roll_with_what_is_new_in_them() -> None:
    template = change(
        "aws_launch_template", "update", before={"instance_type": "g5.xlarge"}, after={"instance_type": "g6.xlarge"}
    )
    group = change(
        "aws_autoscaling_group",
        "update",
        before=GROUP,
        after=GROUP,
        after_unknown={"launch_template": [{"version": True}]},
    )
    assert said("workers-default", template, group) == [
        "note: new launch template version: 3 workers roll with minimum healthy 90 % (type g5.xlarge → g6.xlarge)"
    ]


def test_without_a_refresh_running_workers_stay_as_they_are() -> None:
    template = change("aws_launch_template", "update", before={"image_id": "ami-1"}, after={"image_id": "ami-2"})
    (found,) = said("workers-default", template)
    assert found == "note: new launch template version: only workers launched from now on have it (image ami-1 → ami-2)"


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [
        (1, 2, "size 2 to 4 becomes 1 to 2: 1 of 3 workers drain and end"),
        (5, 8, "size 2 to 4 becomes 5 to 8: 2 workers more start at once"),
        (2, 8, "size 2 to 4 becomes 2 to 8: the 3 workers of now stay"),
    ],
)
def test_how_many_there_may_be(least: int, most: int, text: str) -> None:
    group = change(
        "aws_autoscaling_group", "update", before=GROUP, after={**GROUP, "min_size": least, "max_size": most}
    )
    assert said("workers-default", group) == [f"note: {text}"]


def test_a_group_that_is_made_anew_ends_its_workers() -> None:
    group = change(
        "aws_autoscaling_group",
        "delete",
        "create",
        before=GROUP,
        after=GROUP,
        replace_paths=[["initial_lifecycle_hook"]],
    )
    (found,) = said("workers-default", group)
    assert found.startswith("destructive: replaces the pool's group (initial_lifecycle_hook): 3 workers drain and end ")


def test_log_lines_that_are_lost() -> None:
    def group(days: int) -> dict[str, object]:
        return {"name": "/a", "retention_in_days": days}

    shorter = said("logs", change("aws_cloudwatch_log_group", "update", before=group(30), after=group(7)))
    assert shorter == ["destructive: deletes lines of /a that are older than 7 days"]
    assert said("logs", change("aws_cloudwatch_log_group", "update", before=group(0), after=group(7))) == shorter
    assert said("logs", change("aws_cloudwatch_log_group", "update", before=group(7), after=group(30))) == []
    assert said("logs", change("aws_cloudwatch_log_group", "update", before=group(7), after=group(0))) == []


def test_the_state_bucket_is_not_deleted() -> None:
    (found,) = said("state", change("aws_s3_bucket", "delete", before={"bucket": "b"}))
    assert found.startswith("refused: deletes the state bucket b: refused")


def test_whatever_holds_something_is_named_in_any_stack() -> None:
    volume = change(
        "aws_ebs_volume", "delete", "create", before={"size": 8}, after={"size": 9}, replace_paths=[["size"]]
    )
    assert said("other", volume) == ["destructive: replaces aws_ebs_volume.it (size 8 → 9): its data is gone for good"]


def test_a_nat_gateway_that_goes_breaks_connections() -> None:
    found = said(
        "network",
        change("aws_nat_gateway", "delete", before={"subnet_id": "subnet-1"}),
        change("aws_eip", "delete", before={"public_ip": "192.0.2.7"}),
    )
    assert len(found) == 1
    assert found[0].startswith("destructive: ends 1 NAT gateway (public 192.0.2.7 given back)")


def test_ids_that_other_stacks_read() -> None:
    outputs = {"cross-stack-output-x": {"actions": ["update"], "before": "sg-1", "after_unknown": True}}
    found = said("router", change("aws_iam_role", "update", before={"a": 1}, after={"a": 2}), outputs=outputs)
    assert found == ["note: changes an id that other stacks read: plan those again after this one is applied"]
