"""What a person does by hand on a kept rehearsal, as the README tells it: cdktf and plain Terraform."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from rehearsal import faults
from rehearsal.cloud_process import find_running
from rehearsal.deployment import rehearsal_overrides, scenario_overrides
from rehearsal.options import ENVIRONMENT
from rehearsal.places import REPOSITORY, default_work_folder
from rehearsal.scenarios.pace import PACES
from rehearsal.scenarios.plays.scale_in import SCALE_IN
from rehearsal.scenarios.runner import play
from rehearsal.scenarios.stage import Stage
from rehearsal.tools import find_cdktf, find_terraform
from settings.load import load_settings
from tests.rehearsal.short_scenarios import BY_HAND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
WORK = default_work_folder()
STACKS = ("logs", "network", "router", "state", "workers-default")
# What a plan right after an apply wants to change only because the emulated AWS reads back something else than AWS:
# address → reason. None at present: rehearsal/emulated_aws/read_back.py mends what moto forgets.
DIFFERENCES_OF_THE_EMULATOR: dict[str, str] = {}


@dataclass(frozen=True)
class Shell:
    """A shell that has sourced `.rehearsal/env`."""

    variables: dict[str, str]

    def run(self, *command: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=self.variables, capture_output=True, text=True, check=False, timeout=300
        )

    def cdktf(self, *arguments: str) -> str:
        done = self.run(str(find_cdktf(REPOSITORY)), *arguments)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def terraform(self, stack: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(find_terraform(os.environ)[0]), *arguments, folder=folder_of(stack))

    def aws(self, service: Any) -> Any:
        return boto3.client(service, region_name="us-east-1", endpoint_url=self.variables["AWS_ENDPOINT_URL"])


def folder_of(stack: str) -> Path:
    return WORK.cdktf_output / "stacks" / stack


def plain(text: str) -> str:
    """Without the escape sequences of colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def sourced() -> dict[str, str]:
    script = f'. "{WORK.environment_file}" && env -0'
    text = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in text.split("\0") if line)


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """A deployment that a rehearsal has left running."""
    command = [sys.executable, "-m", "fleet", "rehearse"]
    # With a scenario of its own, because its pool then has the size and the times that scenarios need.
    played = [*command, "--keep", "--json", "--pace", "short", "--scenario", BY_HAND]
    kept = subprocess.run(played, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900)
    try:
        assert kept.returncode == 0, kept.stdout + kept.stderr
        result = json.loads(kept.stdout)
        assert set(result["stacks"]) == set(STACKS)
        assert [(item["scenario"], item["passed"]) for item in result["scenarios"]] == [(BY_HAND, True)]
        requests = result["requests"]
        assert (requests["sent"], requests["complete"], requests["streamed"]) == (20, 20, 10)
        yield Shell(sourced())
    finally:
        subprocess.run([*command, "--down"], cwd=REPOSITORY, check=True, timeout=120)
        assert find_running() is None


def changes(shell: Shell, stack: str) -> dict[str, list[str]]:
    """What a plan of one stack would change: address → actions."""
    planned = shell.terraform(stack, "plan", "-input=false", "-out=plan.bin")
    assert planned.returncode == 0, planned.stderr
    shown: dict[str, Any] = json.loads(shell.terraform(stack, "show", "-json", "plan.bin").stdout)
    found = {change["address"]: change["change"]["actions"] for change in shown.get("resource_changes", [])}
    return {address: actions for address, actions in found.items() if actions != ["no-op"]}


def test_list_names_every_stack(shell: Shell) -> None:
    listed = shell.cdktf("list")
    assert all(f"cdktf.out/stacks/{stack}" in "".join(listed.split()) for stack in STACKS)


def test_synth_then_plain_terraform_plan_in_a_stacks_folder(shell: Shell) -> None:
    shell.cdktf("synth")
    for stack in ("router", "workers-default"):
        started = shell.terraform(stack, "init", "-input=false")
        assert started.returncode == 0, started.stderr
        unexplained = changes(shell, stack).keys() - DIFFERENCES_OF_THE_EMULATOR.keys()
        assert unexplained == set(), stack


def test_diff_shows_a_change_of_settings_and_applies_nothing(shell: Shell) -> None:
    context = json.loads(shell.variables["CDKTF_CONTEXT_JSON"]) | {"workers[0].max_size": 9}
    changed = Shell({**shell.variables, "CDKTF_CONTEXT_JSON": json.dumps(context)})
    assert "max_size" in changed.cdktf("diff", "workers-default")
    groups = shell.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [group["MaxSize"] for group in groups] == [8]


def test_a_second_deploy_changes_nothing(shell: Shell) -> None:
    shown = plain(shell.cdktf("deploy", "*", "--auto-approve"))
    assert shown.count("No changes.") >= len(STACKS) - len(DIFFERENCES_OF_THE_EMULATOR)
    changing = [
        line for line in shown.splitlines() if "Modifying..." in line or "Creating..." in line or "Destroying" in line
    ]
    assert [line for line in changing if not any(address in line for address in DIFFERENCES_OF_THE_EMULATOR)] == []


def test_the_second_of_two_applies_is_refused_by_the_lock(shell: Shell) -> None:
    """The first holds the lock of the stack's state; the second must end at once, and the state stay whole."""
    shell.cdktf("synth")
    bucket = "sglang-fleet-state-rehearsal-us-east-1"
    s3 = shell.aws("s3")
    before = s3.get_object(Bucket=bucket, Key="rehearsal/logs.tfstate")["Body"].read()
    terraform = str(find_terraform(os.environ)[0])
    assert shell.terraform("logs", "init", "-input=false").returncode == 0
    command = [terraform, "apply", "-input=false", "-auto-approve", "-replace=aws_sns_topic.alarms"]
    with subprocess.Popen(
        command, cwd=folder_of("logs"), env=shell.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as first:
        wait_for_lock(s3, bucket)
        second = shell.terraform("logs", "apply", "-input=false", "-auto-approve")
        shown, _ = first.communicate(timeout=120)
    assert first.returncode == 0, shown
    assert second.returncode == 1
    assert "Error acquiring the state lock" in second.stderr
    after = json.loads(s3.get_object(Bucket=bucket, Key="rehearsal/logs.tfstate")["Body"].read())
    assert after["serial"] > json.loads(before)["serial"]
    assert {r["type"] for r in after["resources"]} == {r["type"] for r in json.loads(before)["resources"]}
    assert changes(shell, "logs").keys() <= DIFFERENCES_OF_THE_EMULATOR.keys()


def wait_for_lock(s3: Any, bucket: str) -> None:
    for _ in range(600):
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="rehearsal/logs.tfstate.tflock")
        if listed.get("KeyCount"):
            return
    pytest.fail("the first apply never took the lock")


def test_the_key_is_in_no_state_and_no_user_data(shell: Shell) -> None:
    ssm, s3 = shell.aws("ssm"), shell.aws("s3")
    key = ssm.get_parameter(Name="/sglang-fleet/rehearsal/api-key", WithDecryption=True)["Parameter"]["Value"]
    bucket = "sglang-fleet-state-rehearsal-us-east-1"
    names = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert len([name for name in names if name.endswith(".tfstate")]) == 4
    for name in names:
        assert key.encode() not in s3.get_object(Bucket=bucket, Key=name)["Body"].read(), name
    machines = [path for path in WORK.machines.rglob("*") if path.is_file() and not path.is_symlink()]
    holders = [path for path in machines if key.encode() in path.read_bytes()]
    assert {path.name for path in holders} == {"engine-secret.yaml"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in holders)
    assert not [line for line in process_arguments() if key in line]


def process_arguments() -> list[str]:
    shown = subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True)
    return shown.stdout.splitlines()


@pytest.mark.usefixtures("shell")
def test_a_broken_drain_is_found_out() -> None:
    """The proof that a scenario can fail: an agent that ends its engine and answers the hook without waiting."""
    pace = PACES["short"]
    overrides = {**rehearsal_overrides("emulator", None, 1), **scenario_overrides(pace)}
    settings = load_settings(ENVIRONMENT, overrides)
    stage = Stage(settings, WORK, pace, apply=lambda _stack, _changes: None, why=str, say=print)
    ended = threading.Event()
    saboteur = threading.Thread(target=end_without_waiting, args=(stage, ended))
    saboteur.start()
    try:
        result = play(SCALE_IN, stage)
    finally:
        ended.set()
        saboteur.join()
    assert result.ledger.total.lost > 0
    assert not result.passed
    assert "requests lost without a reason" in {check.name for check in result.checks if not check.passed}


def end_without_waiting(stage: Stage, ended: threading.Event) -> None:
    done: set[str] = set()
    while not ended.wait(0.2):
        waiting = {name for name, worker in stage.look().workers.items() if worker.state == "Terminating:Wait"} - done
        for instance in waiting:
            faults.signal_program(instance, "engine", "KILL")
            stage.scaling.complete_lifecycle_action(
                AutoScalingGroupName=stage.group,
                LifecycleHookName="requests-finished",
                InstanceId=instance,
                LifecycleActionResult="CONTINUE",
            )
        done |= waiting


def test_destroy_leaves_nothing(shell: Shell) -> None:
    """Last in this module: it takes the deployment away."""
    destroyed = shell.run(sys.executable, "-m", "fleet", "destroy", "--yes", "--with-state")
    assert destroyed.returncode == 0, destroyed.stdout[-4000:] + destroyed.stderr[-4000:]
    assert "Nothing tagged sglang-fleet:deployment=rehearsal is left." in destroyed.stdout
