"""What Packer is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from packer.bake import REPOSITORY
from packer.site import BakeSite
from packer.variables import Build, image_name, key_pair_name, variables_of
from tests.packer.made_up import BASE, COMMIT, made_targets, repository, settings_of

if TYPE_CHECKING:
    from packer.targets import Target

BAKE = "11111111-2222-3333-4444-555555555555"
MOMENT = "20261124-120000"


@pytest.fixture
def targets(tmp_path: Path) -> tuple[Target, ...]:
    return made_targets(settings_of(), repository(tmp_path))


def told(target: Target, site: BakeSite | None = None, token: Path | None = None, **tables: Any) -> dict[str, Any]:
    build = Build(BAKE, image_name(target, MOMENT), Path("/w/staging"), Path("/o"), token)
    return dict(variables_of(settings_of(**tables), site or BakeSite(), target, build, ["192.0.2.7/32"]))


def test_a_workers_variables(targets: tuple[Target, ...]) -> None:
    variables = told(targets[1], tags={"CostCenter": "research"})
    environment, tags = variables.pop("environment"), variables.pop("tags")
    name = f"sglang-fleet-worker-x86_64-{targets[1].key[:12]}-{MOMENT}"
    assert variables == {
        "region": "us-east-1",
        "role": "worker",
        "architecture": "x86_64",
        "ami_name": name,
        "base_image": BASE,
        "instance_type": "c7i.2xlarge",
        "subnet_id": "",
        "ssh_interface": "public_ip",
        "ssh_username": "ubuntu",
        "ssh_port": 22,
        "ssh_cidrs": ["192.0.2.7/32"],
        "root_volume_gib": 100,
        "model_volume_gib": 8,
        "run_tags": {"CostCenter": "research", "sglang-fleet:bake": BAKE, "Name": f"bake {name}"},
        "staging": "/w/staging",
        "token_file": "",
        "output": "/o",
        "endpoint_ec2": "",
        "poll_seconds": 15,
    }
    assert tags == {
        "CostCenter": "research",
        "Name": name,
        "sglang-fleet:role": "worker",
        "sglang-fleet:content-key": targets[1].key,
        "sglang-fleet:architecture": "x86_64",
        "sglang-fleet:model": "org/tiny",
        "sglang-fleet:model-revision": COMMIT,
        "sglang-fleet:engine": "0.5.23",
    }
    assert environment["BAKE_ROLE"] == "worker"
    assert environment["MODEL_DEVICE"] == "/dev/sdf"
    assert environment["HF_ENDPOINT"] == "https://huggingface.co"
    assert environment["CLOUDWATCH_AGENT_URL"].endswith("/ubuntu/amd64/latest")


def test_a_router_has_no_model_and_no_volume_for_one(targets: tuple[Target, ...]) -> None:
    variables = told(targets[0])
    assert (variables["model_volume_gib"], variables["environment"]["MODEL_DEVICE"]) == (0, "none")
    assert not {name for name in variables["tags"] if "model" in name}


def test_a_rehearsal_replaces_addresses_and_adds_variables(targets: tuple[Target, ...]) -> None:
    site = BakeSite(
        endpoint_ec2="http://127.64.0.9:4566",
        ssh_interface="private_ip",
        ssh_username="baker",
        ssh_port=2222,
        hub_url="http://127.64.0.9:81",
        environment={"PIP_INDEX_URL": "http://m", "BAKE_ROLE": "not this one"},
        gpu_driver_check=False,
    )
    variables = told(targets[1], site)
    assert [variables[name] for name in ("endpoint_ec2", "ssh_interface", "ssh_username", "ssh_port")] == [
        "http://127.64.0.9:4566",
        "private_ip",
        "baker",
        2222,
    ]
    environment = variables["environment"]
    assert (environment["HF_ENDPOINT"], environment["GPU_DRIVER_CHECK"]) == ("http://127.64.0.9:81", "no")
    assert (environment["PIP_INDEX_URL"], environment["BAKE_ROLE"]) == ("http://m", "worker")


def test_the_settings_say_where_the_bake_host_stands(targets: tuple[Target, ...]) -> None:
    bake = {"subnet_id": "subnet-0abcdef1234567890", "ssh_interface": "private_ip", "ssh_cidrs": ["10.8.0.0/16"]}
    variables = told(targets[0], bake=bake)
    assert (variables["subnet_id"], variables["ssh_interface"]) == ("subnet-0abcdef1234567890", "private_ip")


def test_only_the_path_of_the_token_is_told(targets: tuple[Target, ...]) -> None:
    assert told(targets[1], token=Path("/memory/hub-token-1"))["token_file"] == "/memory/hub-token-1"


def test_every_variable_is_one_of_the_template_and_every_one_without_a_default_is_given(
    targets: tuple[Target, ...],
) -> None:
    text = (REPOSITORY / "packer" / "variables.pkr.hcl").read_text()
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    given = set(told(targets[1]))
    assert given <= {name for name, _ in blocks}
    assert {name for name, body in blocks if not re.search(r"^  default\s*=", body, re.MULTILINE)} <= given


def test_every_variable_that_the_template_asks_of_the_environment_is_in_it(targets: tuple[Target, ...]) -> None:
    text = (REPOSITORY / "packer" / "variables.pkr.hcl").read_text()
    (block,) = re.findall(r'variable "environment" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    wanted = set(re.findall(r'"([A-Z_]+)"', block))
    assert len(wanted) > 5
    assert wanted <= set(told(targets[0])["environment"])


def test_names_are_new_each_time_and_within_limits(targets: tuple[Target, ...]) -> None:
    assert image_name(targets[1], MOMENT) != image_name(targets[1], "20261124-120001")
    assert len(image_name(targets[1], MOMENT)) <= 128
    assert key_pair_name(BAKE) == f"sglang-fleet-bake-{BAKE}"
    json.dumps(told(targets[1]))
