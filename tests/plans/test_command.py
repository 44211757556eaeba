"""The verb on saved plans: exit codes for a build server, and one message for whatever cannot be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from fleet.cli import fleet
from tests.plans.made_up import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


def run(*arguments: object) -> Result:
    return CliRunner().invoke(fleet, ["plan", *map(str, arguments)])


def files(case: str) -> list[Path]:
    return sorted((FIXTURES / case).glob("*.json"))


@pytest.mark.parametrize(("case", "code"), [("no-op", 0), ("shrink", 3), ("router-address", 4), ("destroy", 4)])
def test_exit_codes(case: str, code: int) -> None:
    result = run("--from", *files(case), "--json")
    assert result.exit_code == code
    assert json.loads(result.stdout)["exit_code"] == code


def test_saved_plans_tell_their_cost_and_why_not_the_rest() -> None:
    document = json.loads(run("--from", *files("instance-type"), "--json").stdout)
    assert list(document["sections"]) == ["Cost", "Preflight", "Policy"]
    assert document["sections"]["Cost"]["change"]["usd_per_hour"]["most"] == pytest.approx(4 * (2.24208 - 1.861))
    assert "fit and boot are told only with the settings" in document["notes"][0]


def test_consent_changes_the_exit_code() -> None:
    assert run("--from", *files("router-address"), "--allow-replace", "router").exit_code == 3


def test_markdown_is_the_golden_text_but_for_its_notes() -> None:
    assert "moves the router from" in run("--from", *files("router-address"), "--markdown").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "none.json"], "none.json: no such file"),
        (["--from", "."], ".: is a folder"),
        (["--from", "pyproject.toml"], "pyproject.toml: neither a plan file nor JSON"),
        (["--from", "cdktf.json"], "cdktf.json: is JSON, but not of a Terraform plan"),
        (["plan.bin"], "plan.bin: put --from before the plan files"),
        (["--from", *files("shrink"), "--load", "l.json"], "--load: needs the settings of what is planned"),
        (["--destroy", "--load", "l.json"], "--load: needs the settings of what is planned"),
        (["--with-state"], "--with-state: only with --destroy"),
        (["--markdown", "--json"], "--markdown and --json: choose one"),
        (["--from", *files("shrink"), "--allow-replace", "ruter"], "--allow-replace: no stack 'ruter' in this plan"),
    ],
)
def test_bad_input_is_one_message(arguments: list[object], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(told)
