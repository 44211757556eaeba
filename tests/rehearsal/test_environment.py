"""The variables that keep every tool on the emulated AWS."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from rehearsal.environment import Target, ToolEnvironment, tool_environment

REAL = {
    "PATH": "/bin",
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SESSION_TOKEN": "real",
    "AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com",
    "AWS_CA_BUNDLE": "/etc/ca.pem",
    "TF_VAR_x": "1",
    "TF_CLI_ARGS_plan": "-refresh=false",
    "CDKTF_CONTEXT_JSON": "{}",
    "HTTPS_PROXY": "http://proxy:1",
}


def built(tmp_path: Path) -> ToolEnvironment:
    target = Target(Path("/x/rehearsal.toml"), "eu-central-1", {"max_size": 3, "workers[0].engine.device": "cpu"})
    return tool_environment(target, tmp_path / "out", tmp_path / "tf", "tofu")


def test_nothing_of_a_real_account_reaches_a_tool(tmp_path: Path) -> None:
    environment = built(tmp_path).over(REAL)
    aws = {name: value for name, value in environment.items() if name.startswith(("AWS_", "TF_"))}
    assert aws == {
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_CA_BUNDLE": "/etc/ca.pem",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.64.255.254:4566",
        "AWS_REGION": "eu-central-1",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "TF_CLI_CONFIG_FILE": str(tmp_path / "tf"),
        "TF_INPUT": "0",
        "TF_IN_AUTOMATION": "1",
    }
    assert environment["PATH"] == "/bin"
    assert "127.64.255.254" in environment["NO_PROXY"].split(",")


def test_the_context_carries_file_and_overrides_with_their_types(tmp_path: Path) -> None:
    context = json.loads(built(tmp_path).values["CDKTF_CONTEXT_JSON"])
    assert context == {"environment": "/x/rehearsal.toml", "max_size": 3, "workers[0].engine.device": "cpu"}


def test_the_file_can_be_sourced_by_a_shell(tmp_path: Path) -> None:
    environment = built(tmp_path)
    environment.write(tmp_path / "env")
    script = f'. {tmp_path}/env; printf "%s" "$CDKTF_CONTEXT_JSON"'
    done = subprocess.run(["sh", "-c", script], env=REAL, capture_output=True, text=True, check=True)
    assert done.stdout == environment.values["CDKTF_CONTEXT_JSON"]
