"""Seven plans of a real deployment on the emulated AWS, and what a reviewer reads of each."""

from __future__ import annotations

import json
import os
from io import StringIO

import pytest
from rich.console import Console

from plans.as_json import as_json
from plans.markdown import markdown
from plans.summary import ExitCode, summarize
from plans.terminal import terminal
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


def test_every_case_is_here() -> None:
    assert set(CASES) == set(EXIT_CODES)


@pytest.mark.parametrize("case", CASES)
def test_a_reviewer_reads(case: str) -> None:
    summary = summarize(saved(case))
    golden = FOLDER / "golden" / f"{case}.md"
    text = markdown(summary)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
    assert summary.exit_code is EXIT_CODES[case]


@pytest.mark.parametrize("case", CASES)
def test_terminal_and_json_say_the_same(case: str) -> None:
    summary = summarize(saved(case))
    console = Console(width=200, record=True, file=StringIO())
    console.print(terminal(summary))
    shown = " ".join(console.export_text().split())
    document = json.loads(as_json(summary))
    assert document["exit_code"] == summary.exit_code
    assert [item["text"] for item in document["consequences"]] == [item.text for item in summary.consequences]
    for item in summary.consequences:
        assert " ".join(item.text.split()) in shown
    for plan in summary.plans:
        assert plan.stack in shown
