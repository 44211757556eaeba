"""`fleet init`, `fleet synth`, `fleet destroy`, against moto in this process; the rehearsal runs them for real."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from fleet import cdktf
from fleet.cli import main
from tests.settings.cases import ENVIRONMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

pytestmark = pytest.mark.slow
EXAMPLE = ENVIRONMENTS / "example.toml"
BUCKET = "sglang-fleet-state-sglang-us-east-1"
PARAMETER = "/sglang-fleet/sglang/api-key"


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], bool]]:
    """What the cdktf tool was asked; a deploy of the state stack makes the bucket, as the real one does."""
    seen: list[tuple[str, list[str], bool]] = []

    def run(verb: str, stacks: Sequence[str], output: Path, overrides: Mapping[str, object], *, ask: bool) -> None:
        del output, overrides
        seen.append((verb, list(stacks), ask))
        if verb == "deploy":
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)

    monkeypatch.setattr(cdktf, "run", run)
    return seen


def fleet(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fleet", *words])
    monkeypatch.setenv("COLUMNS", "120")
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def stored_key() -> str:
    ssm = boto3.client("ssm", region_name="us-east-1")
    return ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"]


def test_init_makes_bucket_and_key_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: list[tuple[str, list[str], bool]]
) -> None:
    assert fleet(monkeypatch, "init", "-e", str(EXAMPLE), "--yes") == 0
    first = capsys.readouterr().out
    assert f"State bucket {BUCKET}: created" in first
    assert f"API key {PARAMETER}: created" in first
    key = stored_key()
    assert fleet(monkeypatch, "init", "-e", str(EXAMPLE), "--yes") == 0
    second = capsys.readouterr().out
    assert f"State bucket {BUCKET}: exists" in second
    assert f"API key {PARAMETER}: exists" in second
    assert calls == [("deploy", ["state"], False)]
    assert stored_key() == key
    assert key not in first + second


def test_the_key_is_a_secure_string_that_the_engine_takes(
    monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, list[str], bool]]
) -> None:
    fleet(monkeypatch, "init", "-e", str(EXAMPLE), "--yes")
    assert calls
    ssm = boto3.client("ssm", region_name="us-east-1")
    assert ssm.get_parameter(Name=PARAMETER)["Parameter"]["Type"] == "SecureString"
    assert re.fullmatch(r"sk-[0-9a-f]{64}", stored_key())


def test_destroy_keeps_the_state_bucket_and_removes_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: list[tuple[str, list[str], bool]]
) -> None:
    fleet(monkeypatch, "init", "-e", str(EXAMPLE), "--yes")
    assert fleet(monkeypatch, "destroy", "-e", str(EXAMPLE), "--yes") == 0
    assert calls[-1] == ("destroy", ["logs", "network", "router", "workers-default"], False)
    shown = capsys.readouterr().out
    assert f"API key {PARAMETER}: deleted" in shown
    assert "Nothing tagged sglang-fleet:deployment=sglang is left." in shown


def test_destroy_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: list[tuple[str, list[str], bool]]
) -> None:
    ec2 = boto3.client("ec2", region_name="us-east-1")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "sglang-fleet:deployment", "Value": "sglang"}])
    assert fleet(monkeypatch, "destroy", "-e", str(EXAMPLE), "--yes") == 1
    assert calls
    assert vpc in capsys.readouterr().out


def test_synth_writes_every_stack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert fleet(monkeypatch, "synth", "-e", str(EXAMPLE), "-o", str(tmp_path), "--set", "max_size=7") == 0
    assert "workers-default" in capsys.readouterr().out
    assert '"max_size": 7' in (tmp_path / "stacks" / "workers-default" / "cdk.tf.json").read_text()


@pytest.mark.parametrize("verb", ["init", "synth", "destroy"])
def test_faults_of_settings_end_every_verb_before_anything_is_done(
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    calls: list[tuple[str, list[str], bool]],
) -> None:
    assert fleet(monkeypatch, verb, "-e", str(EXAMPLE), "--set", "max_sise=7") == 2
    assert capsys.readouterr().err.startswith("override max_sise: '7' ")
    assert calls == []


def test_no_credentials_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert fleet(monkeypatch, "init", "-e", str(EXAMPLE), "--yes") == 2
    assert capsys.readouterr().err == "AWS credentials: none found; set AWS_PROFILE, or run `aws configure`\n"
