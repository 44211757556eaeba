"""`fleet plan` against a deployment that a rehearsal has left running: seven plans, and nothing changed by any."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from rehearsal.cloud_process import find_running
from rehearsal.emulated_aws.calls import changes_something
from rehearsal.places import API_URL, CONTROL_URL, NETWORK, REPOSITORY, default_work_folder
from tests.plans.made_up import FIXTURES
from tests.plans.trimmed import trimmed

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.long]
WORK = default_work_folder()
BUCKET = "sglang-fleet-state-rehearsal-us-east-1"
MODEL, OTHER_MODEL = "Valdemardi/DeepSeek-R1-Distill-Qwen-32B-AWQ", "Qwen/Qwen3-32B-AWQ"
PLANS = {
    "no-op": ([], 0, "No changes."),
    "shrink": (
        [f"--set=workers[0].{size}=1" for size in ("min_size", "desired_size", "max_size")],
        3,
        "1 of 2 workers drain",
    ),
    "instance-type": (["--set=instance_type=g6e.2xlarge"], 3, "type g6e.xlarge → g6e.2xlarge"),
    "router-address": ([f"--set=router_ip={NETWORK[101]}"], 4, "moves the router from"),
    "model": ([f"--set=model_id={OTHER_MODEL}"], 3, f"serves {OTHER_MODEL} instead of {MODEL}"),
    "first-deploy": (["--set=name=fresh"], 3, "starts 2 g6e.xlarge workers (2 to 4)"),
    "destroy": (["--destroy", "--with-state"], 4, "deletes the state bucket"),
}


@dataclass(frozen=True)
class Shell:
    variables: dict[str, str]

    def plan(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fleet", "plan", *arguments]
        environment = {**self.variables, **variables}
        return subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=600
        )

    def aws(self, service: str) -> Any:
        return boto3.client(service, region_name="us-east-1", endpoint_url=API_URL)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    command = [sys.executable, "-m", "fleet", "rehearse"]
    try:
        kept = subprocess.run(
            [*command, "--keep"], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900
        )
        assert kept.returncode == 0, kept.stdout + kept.stderr
        script = f'. "{WORK.environment_file}" && env -0'
        text = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
        made = Shell(dict(line.split("=", 1) for line in text.split("\0") if line))
        ssm = made.aws("ssm")
        for stack in ("image/router", "image/workers-default", "api-key"):
            value = ssm.get_parameter(Name=f"/sglang-fleet/rehearsal/{stack}")["Parameter"]["Value"]
            ssm.put_parameter(Name=f"/sglang-fleet/fresh/{stack}", Value=value, Type="String")
        yield made
    finally:
        subprocess.run([*command, "--down"], cwd=REPOSITORY, check=True, timeout=120)
        assert find_running() is None


def calls() -> dict[str, int]:
    with urllib.request.urlopen(f"{CONTROL_URL}/calls", timeout=10) as answer:  # noqa: S310 - a loopback address
        found: dict[str, int] = json.load(answer)
    return found


def account(shell: Shell) -> str:
    """What the account holds, as text: all objects with their versions, and all that the stacks are made of.

    Not the data that running hosts send on their own every few seconds (metrics and log lines).
    """
    s3, ec2 = shell.aws("s3"), shell.aws("ec2")
    versions = s3.list_object_versions(Bucket=BUCKET)
    held: dict[str, Any] = {
        "objects": {
            f"{item['Key']} {item['VersionId']}": s3.get_object(
                Bucket=BUCKET, Key=item["Key"], VersionId=item["VersionId"]
            )["Body"].read()
            for item in versions.get("Versions", [])
        },
        "deleted": versions.get("DeleteMarkers", []),
        "buckets": s3.list_buckets()["Buckets"],
        "groups": shell.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"],
        "instances": ec2.describe_instances()["Reservations"],
        "templates": ec2.describe_launch_template_versions(Versions=["$Latest", "$Default"]),
        "vpcs": ec2.describe_vpcs()["Vpcs"],
        "subnets": ec2.describe_subnets()["Subnets"],
        "security groups": ec2.describe_security_groups()["SecurityGroups"],
        "rules": ec2.describe_security_group_rules()["SecurityGroupRules"],
        "images": ec2.describe_images(Owners=["self"])["Images"],
        "volumes": ec2.describe_volumes()["Volumes"],
        "roles": shell.aws("iam").list_roles()["Roles"],
        "parameters": shell.aws("ssm").describe_parameters()["Parameters"],
        "log groups": [item["logGroupName"] for item in shell.aws("logs").describe_log_groups()["logGroups"]],
    }
    for value in held.values():
        if isinstance(value, dict):
            value.pop("ResponseMetadata", None)
    return json.dumps(held, default=str, sort_keys=True, indent=1)


def output_folder() -> dict[str, bytes]:
    """The operator's own: synthesized stacks, and the state of the state bucket beside them."""
    files = (path for path in WORK.cdktf_output.rglob("*") if path.is_file() and ".terraform" not in path.parts)
    return {str(path): path.read_bytes() for path in (*files, *WORK.root.glob("*.tfstate*"))}


@pytest.mark.parametrize("case", PLANS)
def test_a_plan_says_what_it_means_and_changes_nothing(shell: Shell, case: str, tmp_path: Path) -> None:
    arguments, code, told = PLANS[case]
    with baked(shell, OTHER_MODEL if case == "model" else MODEL):
        before, files, asked = account(shell), output_folder(), calls()
        done = shell.plan(*arguments, "--json", f"--save={tmp_path}")
        after, later = account(shell), calls()
    assert done.returncode == code, done.stdout + done.stderr
    assert told in done.stdout
    wanted = ["Cost"] if case == "destroy" else ["Fit", "Cost", "Boot"]
    assert list(json.loads(done.stdout)["sections"]) == [*wanted, "Preflight", "Policy"]
    assert after == before
    assert output_folder() == files
    by_terraform = {name for name in later if later[name] > asked.get(name, 0) and changes_something(name)}
    assert by_terraform <= OF_RUNNING_HOSTS
    if os.environ.get("UPDATE_FIXTURES"):
        for file in tmp_path.glob("*.json"):
            (FIXTURES / case / file.name).write_text(trimmed(file.read_bytes()))


# What the agents of router and workers send by themselves.
OF_RUNNING_HOSTS = frozenset(
    {
        "monitoring:PutMetricData",
        "logs:PutLogEvents",
        "logs:CreateLogStream",
        "autoscaling:RecordLifecycleActionHeartbeat",
    }
)


class baked:  # noqa: N801 - reads like a function
    """The workers' image as a bake of another model would leave it; afterwards as it was."""

    def __init__(self, shell: Shell, model: str) -> None:
        self.shell, self.model = shell, model

    def _tag(self, model: str) -> None:
        parameter = self.shell.aws("ssm").get_parameter(Name="/sglang-fleet/rehearsal/image/workers-default")
        tags = [{"Key": "sglang-fleet:model", "Value": model}]
        self.shell.aws("ec2").create_tags(Resources=[parameter["Parameter"]["Value"]], Tags=tags)

    def __enter__(self) -> None:
        self._tag(self.model)

    def __exit__(self, *_: object) -> None:
        self._tag(MODEL)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_an_image_of_another_model_is_one_message(shell: Shell) -> None:
    line = one_line(shell.plan(f"--set=model_id={OTHER_MODEL}"))
    assert re.search(r"^workers-default: Terraform cannot plan it: .* run `fleet bake`\.$", line)


def test_saved_plan_files_of_terraform_are_read(shell: Shell, tmp_path: Path) -> None:
    terraform = ["terraform", f"-chdir={WORK.cdktf_output / 'stacks' / 'logs'}"]
    made = tmp_path / "logs.bin"
    for words in (["init", "-input=false"], ["plan", "-input=false", "-lock=false", "-destroy", f"-out={made}"]):
        subprocess.run([*terraform, *words], env=shell.variables, check=True, capture_output=True, timeout=300)
    done = shell.plan("--from", str(made), "--markdown")
    assert done.returncode == 4, done.stderr
    assert "deletes 3 log groups with all lines" in done.stdout
    damaged = tmp_path / "damaged.bin"
    damaged.write_bytes(made.read_bytes()[:2000])
    assert one_line(shell.plan("--from", str(damaged))).startswith(f"{damaged}: terraform cannot read this plan file: ")


def test_no_terraform_no_credentials_no_network(shell: Shell, tmp_path: Path) -> None:
    assert "not found on PATH" in one_line(shell.plan(PATH=str(tmp_path)))
    assert "none found" in one_line(shell.plan(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""))
    assert "check the region" in one_line(shell.plan(AWS_ENDPOINT_URL="http://127.81.7.7:9"))
