"""Facts about safety, read off the synthesized JSON of every shipped environment."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from stacks import iam, router
from tests.stacks.synthesized import ENVIRONMENTS, Synthesized, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("name", ENVIRONMENTS)]
ANYWHERE = ("0.0.0.0/0", "::/0")
# Statement ids that may say `"Resource": "*"`, each with the reason that the code gives for it.
WITHOUT_RESOURCE = {
    statement.sid: statement.any_resource
    for statement in (iam.SESSION_MANAGER, iam.write_metrics("Any"), router.FIND_WORKERS)
}


def statements(synthesized: Synthesized) -> Iterator[dict[str, object]]:
    for policy in synthesized.resources("aws_iam_role_policy"):
        yield from json.loads(policy.body["policy"])["Statement"]


def test_nothing_is_open_to_the_world(name: str) -> None:
    rules = list(environment(name).resources("aws_vpc_security_group_ingress_rule"))
    assert rules
    for rule in rules:
        assert rule.body.get("cidr_ipv4") not in ANYWHERE, rule.address
        assert "cidr_ipv6" not in rule.body, rule.address
    for group in environment(name).resources("aws_security_group"):
        assert "ingress" not in group.body, group.address
    for group in environment(name).resources("aws_default_security_group"):
        assert "ingress" not in group.body, group.address
        assert "egress" not in group.body, group.address


def test_instance_metadata_needs_a_token_and_stays_on_the_host(name: str) -> None:
    hosts = list(environment(name).resources("aws_instance", "aws_launch_template"))
    assert len(hosts) >= 2
    for host in hosts:
        assert host.body["metadata_options"]["http_tokens"] == "required", host.address
        assert host.body["metadata_options"]["http_put_response_hop_limit"] == 1, host.address


def test_volumes_are_encrypted(name: str) -> None:
    for host in environment(name).resources("aws_instance"):
        assert host.body["root_block_device"]["encrypted"] is True, host.address
    for template in environment(name).resources("aws_launch_template"):
        for device in template.body["block_device_mappings"]:
            assert device["ebs"]["encrypted"] == "true", template.address


def test_no_host_has_a_public_address(name: str) -> None:
    for template in environment(name).resources("aws_launch_template"):
        interfaces = template.body["network_interfaces"]
        assert [interface["associate_public_ip_address"] for interface in interfaces] == ["false"], template.address
    for host in environment(name).resources("aws_instance"):
        assert host.body["associate_public_ip_address"] is False, host.address
    for subnet in environment(name).resources("aws_subnet"):
        assert subnet.body["map_public_ip_on_launch"] is False, subnet.address


def test_no_secret_passes_through_terraform(name: str) -> None:
    synthesized = environment(name)
    secrets = ("aws_ssm_parameter", "aws_secretsmanager_secret_version", "random_password", "tls_private_key")
    assert not list(synthesized.resources(*secrets))
    for document in synthesized.stacks.values():
        data = document.get("data", {})
        read = data.get("aws_ssm_parameters_by_path", {}).values()
        assert all(one["path"].endswith("/image") for one in read), "only image ids are read at plan time"
        assert not any(one["with_decryption"] for one in read)
        assert "aws_ssm_parameter" not in data
    for host in synthesized.resources("aws_instance", "aws_launch_template"):
        encoded = host.body.get("user_data_base64") or host.body["user_data"]
        user_data = base64.b64decode(encoded).decode()
        assert "api-key" not in user_data.replace("/api-key", ""), "the name of the parameter, never the key"


def test_every_unlimited_statement_has_its_reason(name: str) -> None:
    unlimited = [statement for statement in statements(environment(name)) if statement["Resource"] == "*"]
    assert unlimited
    for statement in unlimited:
        assert WITHOUT_RESOURCE.get(str(statement["Sid"])), statement


def test_hosts_publish_metrics_in_their_own_namespace_only(name: str) -> None:
    writers = [one for one in statements(environment(name)) if "cloudwatch:PutMetricData" in str(one["Action"])]
    assert len(writers) >= 2
    for statement in writers:
        assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "SGLangFleet"}}


def test_no_action_is_a_wildcard(name: str) -> None:
    for statement in statements(environment(name)):
        actions = statement["Action"]
        assert isinstance(actions, list)
        assert not [action for action in actions if "*" in action], statement
        assert statement["Effect"] == "Allow"


def test_state_is_encrypted_locked_and_private(name: str) -> None:
    synthesized = environment(name)
    for stack, document in synthesized.stacks.items():
        if stack != "state":
            backend = document["terraform"]["backend"]["s3"]
            assert (backend["encrypt"], backend["use_lockfile"]) == (True, True), stack
    blocked = synthesized.one("aws_s3_bucket_public_access_block").body
    flags = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert all(blocked[flag] is True for flag in flags)
    assert synthesized.one("aws_s3_bucket_versioning").body["versioning_configuration"]["status"] == "Enabled"


def test_everything_that_takes_tags_carries_the_fleets(name: str) -> None:
    for stack, document in environment(name).stacks.items():
        (provider,) = document["provider"]["aws"]
        (defaults,) = provider["default_tags"]
        assert defaults["tags"]["sglang-fleet:stack"] == stack
        assert defaults["tags"]["sglang-fleet:deployment"]
    for group in environment(name).resources("aws_autoscaling_group"):
        tags = {tag["key"]: tag["value"] for tag in group.body["tag"] if tag["propagate_at_launch"]}
        wanted = {"deployment", "stack", "pool", "engine-port", "model"}
        assert {f"sglang-fleet:{key}" for key in wanted} <= set(tags), group.address
