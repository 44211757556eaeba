"""What the stacks are made of, and what a change of settings changes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from stacks.iam import Statement
from tests.stacks.synthesized import REPOSITORY, environment, read, synthesize

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
EXAMPLE = REPOSITORY / "environments" / "example.toml"


def differences(old: Any, new: Any, path: str = "") -> set[str]:
    """Paths at which two documents differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = set(old) | set(new)
        return {found for key in keys for found in differences(old.get(key), new.get(key), f"{path}/{key}")}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return {found for index, (one, other) in pairs for found in differences(one, other, f"{path}/{index}")}
    return set() if old == new else {path}


def test_every_stack_has_a_state_of_its_own() -> None:
    stacks = environment("two-pools").stacks
    keys = [document["terraform"]["backend"]["s3"]["key"] for name, document in stacks.items() if name != "state"]
    assert len(set(keys)) == len(keys) == 5
    assert list(stacks["state"]["terraform"]["backend"]) == ["local"]


def test_a_pool_never_shows_in_the_router() -> None:
    one = environment("example").stacks["router"]
    changed = {"model_id": "Qwen/Qwen2.5-32B-Instruct-AWQ", "instance_type": "g6e.2xlarge", "max_size": "8"}
    assert synthesize(EXAMPLE, changed).stacks["router"] == one


def test_overrides_change_exactly_what_they_name() -> None:
    before = environment("example").stacks
    overrides = {"model_id": "Qwen/QwQ-32B-AWQ", "instance_type": "g5.12xlarge", "tensor_parallel_size": "4"}
    after = synthesize(EXAMPLE, overrides).stacks
    assert {name for name in before if before[name] != after[name]} == {"workers-default"}
    workers = "/resource/aws_launch_template/launch-template"
    assert differences(before["workers-default"], after["workers-default"]) == {
        f"{workers}/instance_type",
        f"{workers}/user_data",
        "/output/node_config/value",
        "/resource/aws_autoscaling_group/group/tag/5/value",
        # What a plan says of an image for other processors or another model.
        "/data/aws_ami/image/lifecycle/postcondition/0/error_message",
        "/data/aws_ami/image/lifecycle/postcondition/2/condition",
        "/data/aws_ami/image/lifecycle/postcondition/2/error_message",
    }
    old, new = (json.loads(doc["workers-default"]["output"]["node_config"]["value"]) for doc in (before, after))
    assert differences(old, new) == {"/worker/model_path", "/worker/served_model_name", "/worker/engine_arguments"}


def test_plain_cdktf_context_does_the_same(tmp_path: Path) -> None:
    context = {"environment": str(EXAMPLE), "instance_type": "g5.12xlarge", "tensor_parallel_size": 4}
    run = subprocess.run(
        [sys.executable, "main.py"],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "CDKTF_OUTDIR": str(tmp_path), "CDKTF_CONTEXT_JSON": json.dumps(context)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    expected = synthesize(EXAMPLE, {"instance_type": "g5.12xlarge", "tensor_parallel_size": "4"})
    assert read(tmp_path).stacks == expected.stacks


def test_faulty_settings_end_a_synth_with_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('regoin = "us-east-1"\n[[workers]]\nmin_size = 9\n')
    run = subprocess.run(
        [sys.executable, "main.py"],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "CDKTF_CONTEXT_JSON": json.dumps({"environment": str(tmp_path / "bad.toml")})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 2
    assert "Traceback" not in run.stderr


def test_several_routers_stand_behind_one_address() -> None:
    stack = synthesize(EXAMPLE, {"router.count": "3", "router.policy": "prefix_hash"}).stacks["router"]
    resources = stack["resource"]
    assert len(resources["aws_instance"]) == 3
    assert all("private_ip" not in host for host in resources["aws_instance"].values())
    (balancer,) = resources["aws_lb"].values()
    assert [mapping["private_ipv4_address"] for mapping in balancer["subnet_mapping"]] == ["10.0.0.100"]
    assert balancer["internal"] is True


def test_spot_buys_other_types_above_the_on_demand_base() -> None:
    overrides = {
        "workers[0].spot.enabled": "true",
        "workers[0].spot.on_demand_base": "1",
        "workers[0].spot.other_instance_types": "g6e.2xlarge,g6e.4xlarge",
    }
    stack = synthesize(EXAMPLE, overrides).stacks["workers-default"]
    group = stack["resource"]["aws_autoscaling_group"]["group"]
    assert "launch_template" not in group
    assert group["capacity_rebalance"] is True
    policy = group["mixed_instances_policy"]
    types = [override["instance_type"] for override in policy["launch_template"]["override"]]
    assert types == ["g6e.xlarge", "g6e.2xlarge", "g6e.4xlarge"]
    assert policy["instances_distribution"]["on_demand_base_capacity"] == 1


def volumes(overrides: dict[str, object]) -> dict[str, dict[str, Any]]:
    template = synthesize(EXAMPLE, overrides).stacks["workers-default"]["resource"]["aws_launch_template"]
    return {device["device_name"]: device["ebs"] for device in template["launch-template"]["block_device_mappings"]}


def test_the_weights_are_on_a_volume_of_their_own() -> None:
    overrides: dict[str, object] = {
        "workers[0].model_volume.initialization_rate_mib": "200",
        "workers[0].model_volume.iops": "8000",
        "workers[0].model_volume.size_gib": "40",
    }
    found = volumes(overrides)
    assert found["/dev/sdf"] == {
        "volume_type": "gp3",
        "volume_size": 40,
        "iops": 8000,
        "throughput": 1000,
        "volume_initialization_rate": 200,
        "encrypted": "true",
        "delete_on_termination": "true",
    }
    assert "volume_initialization_rate" not in found["/dev/sda1"], "charged by the size of the snapshot"


def test_the_image_decides_the_size_of_the_model_volume_and_an_own_image_whether_there_is_one() -> None:
    assert "volume_size" not in volumes({})["/dev/sdf"]
    own: dict[str, object] = {
        "workers[0].image.ami": "ami-0abcdef1234567890",
        "workers[0].model_volume.enabled": "false",
    }
    assert list(volumes(own)) == ["/dev/sda1"]


def test_without_nat_there_is_no_way_out_but_endpoints() -> None:
    services = "autoscaling,ec2,ssm,logs,monitoring"
    overrides = {"network.nat": "none", "network.interface_endpoints": services}
    resources = synthesize(EXAMPLE, overrides).stacks["network"]["resource"]
    assert "aws_nat_gateway" not in resources
    assert "aws_internet_gateway" not in resources
    assert len(resources["aws_vpc_endpoint"]) == 6


def test_one_nat_gateway_per_zone() -> None:
    resources = synthesize(EXAMPLE, {"network.nat": "per_az"}).stacks["network"]["resource"]
    assert len(resources["aws_nat_gateway"]) == 2
    private = [route for name, route in resources["aws_route"].items() if name.startswith("private")]
    assert len({route["nat_gateway_id"] for route in private}) == 2


@pytest.mark.parametrize(
    "arguments", [{}, {"resources": ("arn:aws:s3:::x",), "any_resource": "both"}, {"actions": ("s3:*",)}]
)
def test_a_statement_without_a_reason_cannot_be_made(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="statement Bad"):
        Statement(**({"sid": "Bad", "actions": ("s3:GetObject",)} | arguments))
