"""Seven plans of a real deployment on the emulated AWS, and what a reviewer reads of each."""

from __future__ import annotations

import json
import os
from io import StringIO

import pytest
from rich.console import Console

from fleet.plan_sections import of_plans, of_settings
from plans.as_json import as_json
from plans.markdown import markdown
from plans.section_boot import Logged
from plans.summary import ExitCode, Summary, summarize
from plans.terminal import terminal
from rehearsal.options import ENVIRONMENT
from settings.boots.measured import PhaseLogged
from settings.load import load_settings
from tests.plans.made_up import CASES, FOLDER, saved

EXIT_CODES = {
    "destroy": ExitCode.ATTENTION,
    "first-deploy": ExitCode.CHANGES,
    "instance-type": ExitCode.CHANGES,
    "model": ExitCode.CHANGES,
    "no-op": ExitCode.NO_CHANGES,
    "router-address": ExitCode.ATTENTION,
    "shrink": ExitCode.CHANGES,
}


# What each plan's settings change of environments/rehearsal.toml; a destroy is told without settings.
CHANGES: dict[str, dict[str, object]] = {
    "first-deploy": {"name": "fresh"},
    "instance-type": {"instance_type": "g6e.2xlarge"},
    "model": {"model_id": "Qwen/Qwen3-32B-AWQ"},
    "no-op": {},
    "router-address": {},
    "shrink": {"min_size": 1, "desired_size": 1, "max_size": 1},
}
# The saved plans are of pools that do not look at prompts.
OF_THE_FIXTURES: dict[str, object] = {"workers[0].scaling.target_prompt_load": 0}
BOOT = {"key_fetched": 2.5, "engine_spawned": 3.0, "engine_listening": 150.0, "first_generation": 154.0}
LOGGED = Logged({"default": tuple(PhaseLogged("i-1", name, seconds) for name, seconds in BOOT.items())})


def reviewed(case: str) -> Summary:
    plans = saved(case)
    if case not in CHANGES:
        return summarize(plans, sections=of_plans(plans))
    settings = load_settings(ENVIRONMENT, CHANGES[case] | OF_THE_FIXTURES)
    logged = Logged(notes=("no host has logged a boot",)) if case == "first-deploy" else LOGGED
    return summarize(plans, sections=of_settings(settings, plans, logged))


def test_every_case_is_here() -> None:
    assert set(CASES) == set(EXIT_CODES)


@pytest.mark.parametrize("case", CASES)
def test_a_reviewer_reads(case: str) -> None:
    summary = reviewed(case)
    golden = FOLDER / "golden" / f"{case}.md"
    text = markdown(summary)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
    assert summary.exit_code is EXIT_CODES[case]


@pytest.mark.parametrize("case", CASES)
def test_terminal_and_json_say_the_same(case: str) -> None:
    summary = reviewed(case)
    console = Console(width=400, record=True, file=StringIO())
    console.print(terminal(summary))
    shown = " ".join(console.export_text().split())
    document = json.loads(as_json(summary))
    assert document["exit_code"] == summary.exit_code
    assert [item["text"] for item in document["consequences"]] == [item.text for item in summary.consequences]
    for item in summary.consequences:
        assert " ".join(item.text.split()) in shown
    for plan in summary.plans:
        assert plan.stack in shown
    assert list(document["sections"]) == [section.title for section in summary.sections]
    for section in summary.sections:
        for line in section.render_lines():
            assert " ".join(line.split()) in shown
