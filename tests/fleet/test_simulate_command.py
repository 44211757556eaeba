from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.simulated_load import read_load
from tests.settings.cases import ENVIRONMENTS

EXAMPLE = str(ENVIRONMENTS / "example.toml")
RATE_PER_SECOND = 2


def _run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fleet", "simulate", *words])
    monkeypatch.setenv("COLUMNS", "120")
    try:
        main()
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """Ten minutes, two requests a second."""
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for second in range(600):
        at = f"2026-01-01 00:{second // 60:02d}:{second % 60:02d}"
        lines += [f"{at}.{half * 5}000000,400,40" for half in range(RATE_PER_SECOND)]
    path = tmp_path / "even.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--policy", "nonsense"], "--policy: 'nonsense' is not known; use one of fixed, "),
        (["--rate", "0"], "--rate: 0.0 is not a number above 0; 1 leaves the trace as it is"),
        (["--rate", "2", "--peak-workers", "3"], "--rate: 2.0 is given together with --peak-workers; leave one of"),
        (["--plot", "a.gif"], "--plot: 'a.gif' is no kind of picture; end it in .png or .html"),
        (["--plot", "/nowhere/a.png"], "--plot: '/nowhere/a.png' is in a folder that does not exist"),
        (["--sweep", "--compare"], "--sweep: true is given together with --compare or --policy; sweep first"),
        (["--set", "max_sise=2"], "override max_sise: '2' is given for an unknown key; did you mean max_size?"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(
    words: list[str], says: str, trace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "--trace", trace, "-e", EXAMPLE, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith(says)
    assert len(said.splitlines()) == 1


def test_a_trace_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, "--trace", "/nowhere/trace.csv", "-e", EXAMPLE) == 2
    assert "/nowhere/trace.csv" in capsys.readouterr().err


@pytest.mark.slow
def test_policies_side_by_side_as_json(
    trace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--trace",
        trace,
        "-e",
        EXAMPLE,
        "--policy",
        "ours",
        "--policy",
        "fixed",
        "--policy",
        "clairvoyant",
        "--json",
    ]
    assert _run(monkeypatch, *words) == 0
    first = capsys.readouterr().out
    assert _run(monkeypatch, *words) == 0
    assert capsys.readouterr().out == first
    answer = json.loads(first)
    assert [row["policy"] for row in answer["policies"]] == ["ours", "fixed", "clairvoyant"]
    for row in answer["policies"]:
        assert row["requests"] == 600 * RATE_PER_SECOND
        assert row["slo_attainment"] > 0.5
        assert row["usd"] == pytest.approx(row["gpu_hours"] * 1.861, rel=1e-3)
    file = tmp_path / "load.json"
    file.write_text(first)
    ours = answer["policies"][0]
    load = read_load(file, "default")
    assert (load.gpu_hours, load.output_tokens) == (ours["gpu_hours"], ours["output_tokens"])
    assert load.workers == pytest.approx(ours["gpu_hours"] / (answer["seconds"] / 3600))


@pytest.mark.slow
def test_pictures_are_whole_files(
    trace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for ending in ("png", "html"):
        assert _run(monkeypatch, "--trace", trace, "-e", EXAMPLE, "--plot", str(tmp_path / f"p.{ending}")) == 0
    assert "clairvoyant" in capsys.readouterr().out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "p.html").read_text()
    assert "<svg" in page
    assert "p90 time to first token" in page
    assert "<script" not in page
    assert 'href="http' not in page.replace('xlink:href="http', "")


@pytest.mark.slow
def test_the_sweep_prints_lines_for_the_settings(
    trace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "--trace", trace, "-e", EXAMPLE, "--sweep") == 0
    said = capsys.readouterr().out
    assert "[workers.scaling]\ntarget_prompt_load = " in said
