"""The verb on a deployment, with Terraform's plans and the account's answers given: which sections a reviewer sees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from typer.testing import CliRunner

from fleet import plan_command, plan_sections
from fleet.cli import fleet
from plans.live import Planned
from plans.preflight import skipped
from plans.states import States
from rehearsal.options import ENVIRONMENT
from settings.boots.measured import PhaseLogged
from tests.plans.made_up import saved

if TYPE_CHECKING:
    from pathlib import Path

SIMULATED = {
    "seconds": 7200.0,
    "policies": [{"policy": "ours", "gpu_hours": 4.0, "prompt_tokens": 9, "output_tokens": 7_200_000}],
}


class Client:
    def get_caller_identity(self) -> None: ...


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> tuple[()]:
        return ()

    monkeypatch.setattr("boto3.client", lambda *_, **__: Client())
    monkeypatch.setattr(plan_command, "read_states", lambda *_: States({}, None, bucket_exists=True))
    for name in ("_terraform", "_synth", "copy_stacks"):
        monkeypatch.setattr(plan_command, name, nothing)
    monkeypatch.setattr(plan_command, "plan_all", lambda *_: Planned(saved("no-op"), (), ()))
    monkeypatch.setattr(plan_command, "_checkov", lambda _: ((), ()))
    monkeypatch.setattr(plan_command, "_preflight", lambda *_: skipped("made up"))
    told = (PhaseLogged("i-1", "first_generation", 88.0),)
    monkeypatch.setattr(plan_sections, "phases_logged", lambda *_: told)


def planned(*words: object) -> dict[str, Any]:
    result = CliRunner().invoke(fleet, ["plan", f"--environment={ENVIRONMENT}", "--json", *map(str, words)])
    assert result.exit_code == 0, result.output
    return cast("dict[str, Any]", json.loads(result.stdout))


@pytest.mark.usefixtures("deployment")
def test_a_deployment_is_told_with_fit_cost_and_boot_and_what_hosts_logged(tmp_path: Path) -> None:
    file = tmp_path / "load.json"
    file.write_text(json.dumps(SIMULATED))
    sections = planned("--load", file)["sections"]
    assert list(sections) == ["Fit", "Cost", "Boot", "Preflight", "Policy"]
    assert sections["Fit"]["pools"][0]["verdict"] == "fits"
    cost = sections["Cost"]
    assert cost["usd_per_million_output_tokens"] == pytest.approx(cost["usd_per_hour"]["expected"] / 3.6, rel=1e-3)
    measured = {one["phase"]: one["measured"] for one in sections["Boot"]["pools"][0]["measured"]}
    assert measured["first_generation"] == 88.0


@pytest.mark.usefixtures("deployment")
def test_an_end_is_told_with_its_cost_only() -> None:
    assert list(planned("--destroy")["sections"]) == ["Cost", "Preflight", "Policy"]
