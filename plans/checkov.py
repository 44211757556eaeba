"""checkov over the stacks, when it is installed: on PATH, or where `make setup-all` puts it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from plans.sections import Problem
from rehearsal.places import REPOSITORY

PROGRAM = REPOSITORY / ".cache" / "venvs" / "audit" / "bin" / "checkov"
CONFIGURATION = REPOSITORY / ".checkov.yaml"
TIMEOUT_SECONDS = 180.0


class _Check(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    check_id: str
    check_name: str
    resource: str
    file_path: str


class _Results(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    failed_checks: tuple[_Check, ...] = ()


class _Report(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    results: _Results = _Results()


_REPORTS: TypeAdapter[list[_Report] | _Report] = TypeAdapter(list[_Report] | _Report)


def find_checkov(environment: Mapping[str, str]) -> Path | None:
    """The program, or None."""
    found = shutil.which("checkov", path=environment.get("PATH"))
    return Path(found) if found else (PROGRAM if PROGRAM.is_file() else None)


def scan(
    program: Path, synthesized: Path, environment: Mapping[str, str]
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Scan synthesized stacks: they say the same as their plans, and are there before Terraform has planned.

    Args:
        program: checkov.
        synthesized: the folder that `cdktf synth` wrote.
        environment: its variables.

    Returns:
        Findings, and notes: one that it failed, when it did.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-checkov-") as folder:
        _write_readable(synthesized, Path(folder))
        command = [str(program), "--directory", folder, "--config-file", str(CONFIGURATION), "--output", "json"]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                check=False,
                cwd=folder,
                env={**environment, "LOG_LEVEL": "ERROR"},
                timeout=TIMEOUT_SECONDS,
            )
            return read_report(done.stdout), ()
        except (OSError, ValidationError, subprocess.TimeoutExpired) as error:
            return (), (f"checkov said nothing that can be read ({type(error).__name__}): only the own rules count",)


def _write_readable(synthesized: Path, folder: Path) -> None:
    """Checkov 3.3 reads no file whose `terraform` block holds a plain value, so that one line is left out."""
    for file in (synthesized / "stacks").glob("*/cdk.tf.json"):
        document = json.loads(file.read_text())
        document["terraform"].pop("required_version", None)
        target = folder / file.parent.name / file.name
        target.parent.mkdir()
        target.write_text(json.dumps(document, indent=1))


def read_report(text: bytes) -> tuple[Problem, ...]:
    """Findings of checkov's JSON; without any resource it prints a summary of zeros.

    Raises:
        ValidationError: it is no report.
    """
    parsed = _REPORTS.validate_json(text)
    reports = parsed if isinstance(parsed, list) else [parsed]
    return tuple(
        Problem(f"{Path(check.file_path).parent.name} {check.resource}", f"{check.check_id}: {check.check_name}")
        for report in reports
        for check in report.results.failed_checks
    )
