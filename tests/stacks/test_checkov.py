"""checkov finds nothing in any shipped environment, and what it is told to skip has a reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.stacks.synthesized import ENVIRONMENTS, REPOSITORY, environment

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow
CHECKOV = REPOSITORY / ".cache" / "venvs" / "audit" / "bin" / "checkov"
CONFIGURATION = REPOSITORY / ".checkov.yaml"


def write_readable(stacks: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """checkov 3.3 reads no file whose `terraform` block holds a plain value, so that one line is left out."""
    for name, document in stacks.items():
        terraform = {key: value for key, value in document["terraform"].items() if key != "required_version"}
        path = folder / name / "cdk.tf.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**document, "terraform": terraform}, indent=1))


def scan(folder: Path) -> dict[str, Any]:
    command = [str(CHECKOV), "--directory", str(folder), "--config-file", str(CONFIGURATION), "--output", "json"]
    # checkov names no key and asks no service; NO_COLOR and a fixed width keep its output plain.
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, "LOG_LEVEL": "ERROR"}
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_nothing_is_found(tmp_path: Path) -> None:
    for name in ENVIRONMENTS:
        write_readable(environment(name).stacks, tmp_path / name)
    result = scan(tmp_path)
    failed = [
        f"{check['check_id']} {check['file_path']} {check['resource']}" for check in result["results"]["failed_checks"]
    ]
    assert failed == []
    assert result["summary"]["parsing_errors"] == 0
    assert result["summary"]["passed"] > 100 * len(ENVIRONMENTS) / 2


def test_it_can_find_something(tmp_path: Path) -> None:
    stacks = json.loads(json.dumps(environment("example").stacks))
    stacks["router"]["resource"]["aws_instance"]["host-0"]["metadata_options"]["http_tokens"] = "optional"
    write_readable(stacks, tmp_path)
    failed = {check["check_id"] for check in scan(tmp_path)["results"]["failed_checks"]}
    assert failed == {"CKV_AWS_79"}


def test_every_skip_says_why() -> None:
    skips = re.findall(r"^ +- (CKV\w+)(.*)$", CONFIGURATION.read_text(), flags=re.MULTILINE)
    assert skips
    for check, comment in skips:
        assert re.fullmatch(r" # .{20,}", comment), f"{check} has no reason"
