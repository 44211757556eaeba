from __future__ import annotations

import json
import sys

import pytest

from fleet.cli import VERBS, load_verb, main
from settings.schema import render_schema
from tests.settings.cases import ENVIRONMENTS


def _run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fleet", *words])
    monkeypatch.setenv("COLUMNS", "120")
    try:
        main()
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


def test_check_shows_pools_and_costs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(ENVIRONMENTS / "two-pools.toml")
    assert _run(monkeypatch, "settings", "check", file, "--set", "max_size=5") == 0
    shown = capsys.readouterr().out
    assert "two-models in us-east-1, router 1 x c7i.large at 10.0.0.100:8000" in shown
    assert "reasoning  g6e.xlarge  1 x L40S      1-5  $1.86-$9.30" in shown
    assert "Workers, on-demand: $2.67 to $15.74 per hour (prices of 2026-07-20 in us-east-1)" in shown


def test_a_region_without_prices_is_not_priced_at_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "settings", "check", str(ENVIRONMENTS / "office-hours.toml")) == 0
    shown = capsys.readouterr().out
    assert "unknown to unknown per hour (no price in eu-central-1; `fleet prices --region eu-central-1" in shown


def test_check_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "instance_type=p5e.48xlarge", "--json"]
    assert _run(monkeypatch, "settings", "check", str(ENVIRONMENTS / "p5.toml"), *words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["pools"][0]["gpus"] == "8 x H200"
    assert summary["usd_per_hour_max"] is None


def test_faults_of_overrides(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(ENVIRONMENTS / "example.toml")
    assert _run(monkeypatch, "settings", "check", file, "--set", "max_sise=1", "--set", "tp_size=2") == 2
    assert capsys.readouterr().err.splitlines() == [
        "override max_sise: '1' is given for an unknown key; did you mean max_size?",
        (
            "workers[0].engine.tp_size: 2 makes the engine take 2 GPUs, and g6e.xlarge has 1; "
            "lower it or use a type with 2 GPUs, like g6e.12xlarge"
        ),
    ]
    assert _run(monkeypatch, "settings", "check", file, "--set", "max_size") == 2
    assert capsys.readouterr().err == "--set: 'max_size' is not key=value; write it like --set max_size=4\n"


def test_schema(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, "settings", "schema") == 0
    assert capsys.readouterr().out == render_schema()


def test_help_lists_every_verb_without_importing_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fleet.cli.load_verb", None)
    assert _run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    for name, verb in VERBS.items():
        assert f"{name} " in shown
        assert verb.help in shown


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("fleet ")


@pytest.mark.parametrize("words", [["nonsense"], ["settings", "check"], ["settings", "check", "a", "--nope"]])
def test_wrong_commands_end_with_2_and_no_traceback(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, *words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_verb_is_a_function_an_app_or_an_error() -> None:
    assert load_verb("fleet.settings_commands:schema").name == "schema"
    assert not load_verb("fleet.settings_commands:app").name
    with pytest.raises(TypeError, match="neither a Typer app nor a function"):
        load_verb("settings.schema:SCHEMA_FILE")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(VERBS))
def test_every_verb_has_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, name, "--help") == 0
    assert f"fleet {name}" in capsys.readouterr().out
