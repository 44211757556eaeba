"""The template, as the installed Packer reads it. What Packer does with it is the bake rehearsal's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from packer.staging import PLUGINS_FILE, template_files
from settings.naming import TAG_BAKE

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("packer") is None, reason="Packer is not installed: apt install packer"),
]
ENVIRONMENT = {
    "BAKE_DIR": "/tmp/sglang-fleet-bake",  # noqa: S108 - on the bake host
    "BAKE_ROLE": "worker",
    "BAKE_ARCHITECTURE": "x86_64",
    "MODEL_DEVICE": "/dev/sdf",
    "CLOUDWATCH_AGENT_URL": "https://agent.example/latest",
    "CLOUDWATCH_AGENT_KEY_URL": "https://agent.example/key.gpg",
    "CLOUDWATCH_AGENT_KEY_FINGERPRINT": "937616F3450B7D806CBD9725D58167303B789C72",
    "GPU_DRIVER_CHECK": "yes",
    "HF_ENDPOINT": "https://hub.example",
    "ENGINE_INSTALL": "lock",
    "DEBIAN_FRONTEND": "noninteractive",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A work folder as `fleet bake` makes one for Packer 1.6, and a staging folder in it."""
    for path in template_files(REPOSITORY):
        if path.name != PLUGINS_FILE:
            shutil.copy(path, tmp_path)
    staging = tmp_path / "staging"
    shutil.copytree(REPOSITORY / "packer" / "provision", staging / "provision")
    (staging / "bake.json").write_text("{}\n")
    return tmp_path


def variables(folder: Path, **changes: Any) -> dict[str, Any]:
    values = {
        "region": "eu-central-1",
        "role": "worker",
        "architecture": "x86_64",
        "ami_name": "sglang-fleet-worker-x86_64-0123456789ab-20260102-030405",
        "base_image": "ami-0123456789abcdef0",
        "instance_type": "c7i.2xlarge",
        "subnet_id": "subnet-0123456789abcdef0",
        "ssh_interface": "public_ip",
        "ssh_username": "ubuntu",
        "ssh_port": 22,
        "ssh_cidrs": ["192.0.2.7/32"],
        "root_volume_gib": 60,
        "model_volume_gib": 40,
        "tags": {"Name": "worker", "sglang-fleet:role": "worker"},
        "run_tags": {TAG_BAKE: "3f0c8a7e", "Name": "bake worker"},
        "environment": ENVIRONMENT,
        "staging": str(folder / "staging"),
        "token_file": "",
        "output": str(folder / "output"),
        "endpoint_ec2": "",
        "poll_seconds": 15,
    }
    return {**values, **changes}


def packer(folder: Path, command: str, **changes: Any) -> tuple[int, str]:
    file = folder / "bake.pkrvars.json"
    file.write_text(json.dumps(variables(folder, **changes)))
    done = subprocess.run(
        ["packer", command, f"-var-file={file}", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "CHECKPOINT_DISABLE": "1", "HOME": str(folder)},
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_is_formatted() -> None:
    done = subprocess.run(
        ["packer", "fmt", "-check", "-diff", str(REPOSITORY / "packer")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"role": "router", "architecture": "arm64", "model_volume_gib": 0, "subnet_id": ""},
        {
            "ssh_username": "root",
            "ssh_port": 2222,
            "ssh_interface": "private_ip",
            "endpoint_ec2": "http://127.0.0.1:5000",
        },
    ],
    ids=["worker", "router in the default VPC", "rehearsal"],
)
def test_is_valid(folder: Path, changes: dict[str, Any]) -> None:
    assert packer(folder, "validate", **changes) == (0, "")


def test_takes_a_token(folder: Path) -> None:
    token = folder / "token"
    token.write_text("made-up")
    assert packer(folder, "validate", token_file=str(token)) == (0, "")


def test_workers_run_every_script_and_routers_not_those_of_workers(folder: Path) -> None:
    every = sorted(path.name for path in (REPOSITORY / "packer" / "provision").glob("*.sh"))
    assert scripts(packer(folder, "inspect")[1]) == every
    of_routers = scripts(packer(folder, "inspect", role="router")[1])
    assert of_routers == [
        "05-base.sh",
        "10-cloudwatch-agent.sh",
        "30-python.sh",
        "40-programs.sh",
        "80-sbom.sh",
        "85-clean.sh",
        "90-validate.sh",
    ]


def scripts(inspected: str) -> list[str]:
    told = re.search(r"local\.scripts: \"(.*?)\" local\.", inspected)
    assert told
    return re.findall(r"provision/([\w-]+\.sh)", told[1])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"region": "eu"}, 'The region must be the code of an AWS region, for example "eu-central-1"'),
        ({"role": "both"}, 'The role must be "router" or "worker"'),
        ({"architecture": "aarch64"}, 'The architecture must be "x86_64" or "arm64", as EC2 spells them'),
        ({"ami_name": "a#b"}, "The ami_name must have 3 to 128 characters"),
        ({"base_image": "ami-zz"}, 'The base_image must be an image id, for example "ami-0123456789abcdef0"'),
        ({"instance_type": ""}, "The instance_type must be an EC2 instance type"),
        ({"subnet_id": "vpc-1"}, "The subnet_id must be a subnet's id"),
        ({"ssh_interface": "public_dns"}, 'The ssh_interface must be "public_ip", or "private_ip" where'),
        ({"ssh_username": "Me"}, "The ssh_username must be a user of the base image"),
        ({"ssh_port": 65536}, "The ssh_port must be a whole number from 1 to 65535"),
        ({"ssh_cidrs": []}, "The ssh_cidrs must be a list of at least one IPv4 block"),
        ({"ssh_cidrs": ["192.0.2.7/32", "192.0.2.7"]}, "set bake.ssh_cidrs to the address that this computer has"),
        ({"root_volume_gib": 4}, "The root_volume_gib must be a whole number from 8 to 16384"),
        ({"model_volume_gib": 1.5}, "The model_volume_gib must be a whole number from 1 to 65536, or 0"),
        ({"tags": {"sglang-fleet:role": "worker"}}, "The tags must hold Name"),
        ({"run_tags": {"Name": "x"}}, f"The run_tags must hold {TAG_BAKE}"),
        ({"environment": {}}, "The environment must hold BAKE_DIR, BAKE_ROLE,"),
        ({"staging": "/nowhere"}, "The staging folder must hold bake.json"),
        ({"token_file": "/nowhere"}, "The token_file does not exist"),
        ({"output": ""}, "The output folder must be named"),
        ({"endpoint_ec2": "127.0.0.1:5000"}, "The endpoint_ec2 must begin with http:// or https://"),
        ({"poll_seconds": 0}, "The poll_seconds must be from 1 to 60"),
    ],
)
def test_refuses(folder: Path, changes: dict[str, Any], sentence: str) -> None:
    code, said = packer(folder, "validate", **changes)
    assert code != 0
    assert sentence in said


def test_every_variable_is_described_and_checked() -> None:
    text = (REPOSITORY / "packer" / "variables.pkr.hcl").read_text()
    blocks = re.split(r'^variable "', text, flags=re.MULTILINE)[1:]
    assert [block.split('"')[0] for block in blocks] == list(variables(Path("/")))
    for block in blocks:
        assert block.count("description = ") == block.count("type        = ") == block.count("validation {") == 1, block
