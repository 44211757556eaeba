"""`fleet bake`, whole: an emulated AWS, a hub on loopback, and a program that stands for Packer."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from fleet.cli import main
from tests.packer.hub_server import COMMIT, OTHER_COMMIT, TOKEN, FakeHub, serving

pytestmark = pytest.mark.slow
PACKER = Path(__file__).parent.parent / "packer" / "fake_packer.py"
MODEL = "org/tiny"
ROUTER, WORKER = "/sglang-fleet/sglang/image/router", "/sglang-fleet/sglang/image/workers-default"
TOKEN_PARAMETER = "/sglang-fleet/hub-token"
READING = ("Describe", "Get", "List")


@dataclass
class Cloud:
    folder: Path
    hub: FakeHub
    url: str
    asked: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload] # any service

    @property
    def changes(self) -> list[str]:
        return [name for name in self.asked if not name.startswith(READING)]

    def recorded(self) -> dict[str, str]:
        found = self.client("ssm").get_parameters(Names=[ROUTER, WORKER])["Parameters"]
        return {parameter["Name"]: parameter["Value"] for parameter in found}

    def images(self) -> list[str]:
        told = self.client("ec2").describe_images(Owners=["self"])["Images"]
        return sorted(image["Name"] for image in told if image["Name"].startswith("sglang-fleet-"))

    def left(self) -> dict[str, list[str]]:
        """What a bake makes for its own time only."""
        ec2 = self.client("ec2")
        instances = [one for group in ec2.describe_instances()["Reservations"] for one in group["Instances"]]
        return {
            "instances": [one["InstanceId"] for one in instances if one["State"]["Name"] != "terminated"],
            "volumes": [one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]],
            "key pairs": [one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]],
            "groups": [
                one["GroupId"]
                for one in ec2.describe_security_groups()["SecurityGroups"]
                if one["GroupName"].startswith("packer")
            ],
        }

    def files(self) -> str:
        """Everything that was written beside the image, names and contents."""
        return "\n".join(f"{path}\n{path.read_text()}" for path in sorted(self.folder.rglob("*")) if path.is_file())


NOTHING: dict[str, list[str]] = {"instances": [], "volumes": [], "key pairs": [], "groups": []}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - the fast tests collect this file without it

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        emulated = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        emulated.start()
        host, port = emulated.get_host_and_port()
        yield f"http://{host}:{port}"
        emulated.stop()


@pytest.fixture
def cloud(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    httpx.post(f"{server}/moto-api/reset")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("PACKER", str(PACKER))
    monkeypatch.setenv("FAKE_PACKER_SIGNALS", str(tmp_path / "signals"))
    monkeypatch.setenv("FAKE_PACKER_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAKE_PACKER_TOKEN", str(tmp_path / "token"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    boto3.setup_default_session()
    with serving() as hub:
        hub.add(MODEL)
        made = Cloud(tmp_path / "bakes", hub, server)
        base = _base_image(made.client("ec2"))
        site = {
            "base_images": {"router": base, "worker": base},
            "hub_url": hub.url,
            "ssh_cidrs": ["127.0.0.0/8"],
            "bake_folder": str(made.folder),
            "interrupt_seconds": 5,
        }
        (tmp_path / "site.json").write_text(json.dumps(site))
        monkeypatch.setenv("SGLANG_FLEET_BAKE_SITE", str(tmp_path / "site.json"))
        assert boto3.DEFAULT_SESSION
        boto3.DEFAULT_SESSION.events.register("before-call.*", lambda model, **_: made.asked.append(model.name))
        yield made


def _base_image(ec2: Any) -> str:
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}
    launched = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, BlockDeviceMappings=[disk])
    instance = launched["Instances"][0]["InstanceId"]
    image: str = ec2.create_image(InstanceId=instance, Name="base")["ImageId"]
    ec2.terminate_instances(InstanceIds=[instance])
    return image


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def bake(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    environment = tmp_path / "bake.toml"
    environment.write_text(f'[[workers]]\nmodel_id = "{MODEL}"\n')

    def run(*words: str, packer: dict[str, Any] | None = None) -> Answer:
        monkeypatch.setenv("FAKE_PACKER", json.dumps(packer or {}))
        monkeypatch.setattr(sys, "argv", ["fleet", "bake", "-e", str(environment), *words])
        cloud.asked.clear()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err.replace(cloud.hub.url, "HUB"))

    return run


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(cloud: Cloud, bake: Any) -> None:
    answer = bake("--dry-run", "--json")
    assert (answer.code, cloud.changes, cloud.images(), cloud.left()) == (0, [], [], NOTHING)
    planned = json.loads(answer.out)["images"]
    assert [(one["stack"], one["action"], one["record"], one["image"]) for one in planned] == [
        ("router", "build", True, None),
        ("workers-default", "build", True, None),
    ]
    assert planned[1]["revision"] == COMMIT
    assert "build on a c7i.2xlarge; record it for workers-default" in answer.err


def test_a_bake_makes_and_records_images_and_the_second_changes_nothing(cloud: Cloud, bake: Any) -> None:
    first = bake("--json")
    assert first.code == 0, first.err
    images = json.loads(first.out)["images"]
    assert [(one["stack"], one["action"], one["recorded"]) for one in images] == [
        ("router", "built", True),
        ("workers-default", "built", True),
    ]
    assert cloud.recorded() == {ROUTER: images[0]["image"], WORKER: images[1]["image"]}
    assert (len(cloud.images()), cloud.left()) == (2, NOTHING)
    assert all(Path(one["sbom"]).is_file() and Path(one["log"]).is_file() for one in images)
    calls = (cloud.folder.parent / "calls").read_text().split("\n")
    assert [line.split()[0] for line in calls if line] == ["version", "validate", "build", "validate", "build"]
    assert "plugins.pkr.hcl" not in calls[1]

    second = bake("--json")
    again = json.loads(second.out)["images"]
    assert (second.code, cloud.changes) == (0, [])
    assert [(one["action"], one["recorded"], one["image"]) for one in again] == [
        ("reused", False, one["image"]) for one in images
    ]
    assert second.err.count("recorded already") == 2


def test_phases_are_told_as_they_begin(bake: Any) -> None:
    answer = bake("--only", "router", packer={"say": ["PHASE base: packages", "PHASE python: environments"]})
    phases = [line.split()[1] for line in answer.out.splitlines() if line.endswith("…")]
    packers = ["validate:", "start:", "check:", "launch:", "connect:", "upload:"]
    assert phases == [*packers, "base:", "python:", "image:", "manifest:", "verify:"]
    assert "router x86_64" in answer.out


def test_a_newer_commit_makes_a_new_image_and_an_old_one_is_found_again(cloud: Cloud, bake: Any) -> None:
    bake("--only", "default")
    old = cloud.recorded()[WORKER]
    cloud.hub.models[MODEL]["sha"] = OTHER_COMMIT
    bake("--only", "default")
    assert cloud.recorded()[WORKER] != old
    answer = bake("--only", "default", "--set", f"model_revision={COMMIT}")
    assert (answer.code, cloud.changes, cloud.recorded()) == (0, ["PutParameter"], {WORKER: old})


def test_force_bakes_again(cloud: Cloud, bake: Any) -> None:
    bake("--only", "router")
    old = cloud.recorded()[ROUTER]
    time.sleep(1.1)  # the image's name holds the second
    assert bake("--only", "router", "--force").code == 0
    assert (cloud.recorded()[ROUTER] != old, len(cloud.images())) == (True, 2)


@pytest.mark.parametrize("packer", [{}, {"tidy": False}, {"tidy": False, "half_made": True}, {"half_made": True}])
def test_a_failed_build_names_phase_words_and_remedy_and_leaves_nothing(
    cloud: Cloud, bake: Any, packer: dict[str, Any]
) -> None:
    words = ["PHASE model: weights", "ERROR model: the files of org/tiny differ; bake again"]
    answer = bake("--only", "default", packer={"fail": "worker", "say": words, **packer})
    assert answer.code == 1
    assert "bake of worker-x86_64-tiny: failed in phase " in answer.err
    assert "remedy: bake again\nlog: " in answer.err or packer.get("half_made")
    assert ("removed what was left of the bake: " in answer.out) is bool(packer)
    assert (cloud.left(), cloud.images(), cloud.recorded()) == (NOTHING, [], {})
    assert "nothing of the bake is left in the account" in cloud.files()


def test_what_was_built_before_a_failure_is_recorded(cloud: Cloud, bake: Any) -> None:
    answer = bake(packer={"fail": "worker"})
    assert (answer.code, set(cloud.recorded()), len(cloud.images())) == (1, {ROUTER}, 1)


def interrupted(cloud: Cloud, number: int = signal.SIGINT) -> threading.Thread:
    def when_connected() -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end and "Uploading" not in (cloud.files() if cloud.folder.exists() else ""):
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=when_connected, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("packer", [{}, {"tidy": False}, {"stubborn": True, "tidy": False}])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bake_leaves_nothing(cloud: Cloud, bake: Any, packer: dict[str, Any], number: int) -> None:
    thread = interrupted(cloud, number)
    answer = bake("--only", "router", packer={"hang": True, **packer})
    thread.join()
    assert answer.code == 130
    assert "bake of router-x86_64: interrupted in phase upload" in answer.err
    assert packer.get("stubborn") or "end: interrupted; Packer takes away what it made, at most 5 s" in answer.out
    assert (cloud.left(), cloud.images(), cloud.recorded()) == (NOTHING, [], {})
    assert (cloud.folder.parent / "signals").read_text() == "interrupt\n"


def test_a_gated_model_is_baked_with_the_token_which_is_seen_nowhere(cloud: Cloud, bake: Any) -> None:
    cloud.hub.add(MODEL, gated=True)
    cloud.client("ssm").put_parameter(Name=TOKEN_PARAMETER, Value=TOKEN, Type="SecureString")
    answer = bake("--set", f"bake.hub_token_parameter={TOKEN_PARAMETER}")
    assert answer.code == 0, answer.err
    told = (cloud.folder.parent / "token").read_text()
    assert told.startswith(f"router none\nworker 600 {TOKEN} /")
    assert not Path(told.split()[-1]).exists()
    assert TOKEN not in cloud.files() + answer.out + answer.err


def test_a_token_goes_only_where_it_is_needed(cloud: Cloud, bake: Any) -> None:
    cloud.client("ssm").put_parameter(Name=TOKEN_PARAMETER, Value=TOKEN, Type="SecureString")
    bake("--only", "default", "--set", f"bake.hub_token_parameter={TOKEN_PARAMETER}")
    assert (cloud.folder.parent / "token").read_text() == "worker none\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "model_id=org/none"], "workers[0].model_id: 'org/none' does not exist on HUB, or is private"),
        (["--set", f"model_revision={'f' * 40}"], "is no commit of org/tiny"),
        (["--set", "bake.hub_token_parameter=/none"], "bake.hub_token_parameter: '/none' is no SSM parameter"),
        (["--only", "nobody"], "--only: 'nobody' is neither the router nor a pool; use one of router, default"),
        (["--set", "router.volume.size_gib=8"], "8 is smaller than the 15 GiB of the base image"),
    ],
)
def test_what_the_settings_have_wrong_ends_before_anything_is_made(
    cloud: Cloud, bake: Any, words: list[str], sentence: str
) -> None:
    answer = bake(*words)
    assert (answer.code, cloud.changes, cloud.left()) == (2, [], NOTHING)
    assert sentence in answer.err


def test_without_packer_nothing_is_made(cloud: Cloud, bake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKER", "no-such-packer")
    answer = bake()
    assert (answer.code, cloud.changes) == (2, [])
    assert "packer: 'no-such-packer' is not found; install Packer" in answer.err


def test_an_image_that_is_given_is_not_baked(cloud: Cloud, bake: Any) -> None:
    ami = "ami-0abcdef1234567890"
    answer = bake("--dry-run", "--set", f"router.image.ami={ami}")
    assert "none: router.image.ami = ami-0abcdef1234567890" in answer.out
    assert (answer.code, cloud.changes) == (0, [])


def test_the_site_is_not_advertised(bake: Any) -> None:
    answer = bake("--help")
    assert (answer.code, "--site" in answer.out, "--dry-run" in answer.out) == (0, False, True)
