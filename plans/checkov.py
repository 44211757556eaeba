"""checkov over the plans, when it is installed: on PATH, or where `make setup-all` puts it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from plans.sections import Problem
from rehearsal.places import REPOSITORY

PROGRAM = REPOSITORY / ".cache" / "venvs" / "audit" / "bin" / "checkov"
CONFIGURATION = REPOSITORY / ".checkov.yaml"
TIMEOUT_SECONDS = 180.0
# Checks that only a plan brings out, because in synthesized stacks a policy is an expression. Of the actions with
# resource `*` checkov takes Session Manager's and PutMetricData for ones that could name a resource; by the service
# authorization reference they cannot. stacks/iam.py refuses any `*` without a reason, plans/policy.py any `*` action.
ANSWERED = frozenset({"CKV_AWS_290", "CKV_AWS_355"})


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
    program: Path, documents: Sequence[tuple[str, bytes]], environment: Mapping[str, str]
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Scan plans.

    Args:
        program: checkov.
        documents: stacks with what `terraform show -json` printed.
        environment: its variables.

    Returns:
        Findings, and notes: one that it failed, when it did.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-checkov-") as folder:
        for stack, document in documents:
            (Path(folder) / f"{stack}.json").write_bytes(document)
        command = [str(program), "--directory", folder, "--framework", "terraform_plan", "--output", "json"]
        command += ["--config-file", str(CONFIGURATION), "--skip-download"]
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


def read_report(text: bytes) -> tuple[Problem, ...]:
    """Findings of checkov's JSON; without any resource it prints a summary of zeros.

    Raises:
        ValidationError: it is no report.
    """
    parsed = _REPORTS.validate_json(text)
    reports = parsed if isinstance(parsed, list) else [parsed]
    return tuple(
        Problem(f"{Path(check.file_path).stem} {check.resource}", f"{check.check_id}: {check.check_name}")
        for report in reports
        for check in report.results.failed_checks
        if check.check_id not in ANSWERED
    )
