from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from plans.checkov import read_report
from plans.policy import findings, policy_section
from plans.summary import ExitCode, summarize
from tests.plans.made_up import CASES, change, plan, saved

TAGS = {"sglang-fleet:deployment": "d", "sglang-fleet:stack": "s"}
IMDS = [{"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1}]
HOST = {"metadata_options": IMDS, "root_block_device": [{"encrypted": True}], "tags_all": TAGS}


def rules(kind: str, after: Any, *on_purpose: str, **more: Any) -> list[str]:
    return [item.rule for item in findings([plan("router", change(kind, "create", after=after, **more))], on_purpose)]


def allow(*actions: str, **more: Any) -> dict[str, str]:
    return {
        "policy": json.dumps({"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}]})
    }


@pytest.mark.parametrize("case", CASES)
def test_the_shipped_stacks_break_no_rule(case: str) -> None:
    plans = saved(case)
    assert sum(len(item.everything) for item in plans) > 0 or case in {"destroy", "no-op"}
    assert findings(plans) == ()


@pytest.mark.parametrize(
    ("kind", "after", "told"),
    [
        ("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "0.0.0.0/0"}, "lets 0.0.0.0/0 in"),
        ("aws_vpc_security_group_ingress_rule", {"cidr_ipv6": "::/0"}, "lets ::/0 in"),
        ("aws_security_group", {"ingress": [{"cidr_blocks": ["0.0.0.0/0"]}]}, "lets 0.0.0.0/0 in"),
        ("aws_security_group_rule", {"type": "ingress", "ipv6_cidr_blocks": ["::/0"]}, "lets ::/0 in"),
        ("aws_iam_role_policy", allow("ec2:DescribeInstances", "s3:*"), "allows s3:*"),
        ("aws_iam_role_policy", allow("*"), "allows *"),
        ("aws_s3_bucket_policy", allow("s3:GetObject", Principal="*"), "lets everybody in"),
        (
            "aws_instance",
            {**HOST, "root_block_device": [{"encrypted": False}]},
            "volume root_block_device is not encrypted",
        ),
        (
            "aws_instance",
            {**HOST, "metadata_options": [{"http_tokens": "optional"}]},
            "answers IMDSv1: credentials can be had without a token",
        ),
        ("aws_instance", {**HOST, "metadata_options": []}, "answers IMDSv1: credentials can be had without a token"),
        (
            "aws_launch_template",
            {
                "metadata_options": IMDS,
                "block_device_mappings": [{"device_name": "/dev/sdf", "ebs": [{"volume_size": 8}]}],
            },
            "volume /dev/sdf is not encrypted",
        ),
        ("aws_sns_topic", {"tags_all": {"sglang-fleet:stack": "s"}}, "lacks the tag sglang-fleet:deployment"),
        ("aws_cloudwatch_log_group", {"tags_all": TAGS, "retention_in_days": 0}, "keeps lines for ever"),
    ],
)
def test_what_is_found(kind: str, after: Any, told: str) -> None:
    assert rules(kind, after) == [told]


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("aws_vpc_security_group_egress_rule", {"cidr_ipv4": "0.0.0.0/0"}),
        ("aws_security_group_rule", {"type": "egress", "cidr_blocks": ["0.0.0.0/0"]}),
        ("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "10.0.0.0/16"}),
        (
            "aws_s3_bucket_policy",
            {"policy": json.dumps({"Statement": {"Effect": "Deny", "Action": "s3:*", "Principal": "*"}})},
        ),
        ("aws_instance", HOST),
    ],
)
def test_what_is_no_finding(kind: str, after: Any) -> None:
    assert rules(kind, after) == []


def test_what_the_settings_open_by_name_is_open_on_purpose() -> None:
    assert rules("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "0.0.0.0/0"}, "0.0.0.0/0") == []


def test_what_only_an_apply_tells_is_no_finding() -> None:
    assert rules("aws_ebs_volume", {"tags_all": TAGS}, after_unknown={"encrypted": True}) == []
    assert rules("aws_ebs_volume", {"tags_all": TAGS}) == ["is not encrypted"]


def test_a_finding_needs_attention_even_where_nothing_changes() -> None:
    same = {"cidr_ipv4": "0.0.0.0/0"}
    plans = [plan("router", change("aws_vpc_security_group_ingress_rule", "no-op", before=same, after=same))]
    assert summarize(plans).exit_code is ExitCode.NO_CHANGES
    assert summarize(plans, sections=[policy_section(findings(plans))]).exit_code is ExitCode.ATTENTION


def test_checkovs_report_is_read() -> None:
    check = {
        "check_id": "CKV_AWS_79",
        "check_name": "IMDSv2",
        "resource": "aws_instance.host-0",
        "file_path": "/router/cdk.tf.json",
    }
    one = {"check_type": "terraform_json", "results": {"failed_checks": [check], "passed_checks": []}}
    (found,) = read_report(json.dumps(one).encode())
    assert (found.where, found.text) == ("router aws_instance.host-0", "CKV_AWS_79: IMDSv2")
    assert read_report(json.dumps([one, one]).encode()) == (found, found)
    assert read_report(b'{"passed": 0, "failed": 0}') == ()
    with pytest.raises(ValidationError):
        read_report(b"Traceback")
