from __future__ import annotations

import json
from pathlib import Path

import pytest

from packer.host import programs
from packer.host.programs import Ran, agent, engine, files, run_as_service, sample
from tests.packer.host.model_hub import bake_of

BAKE = bake_of("https://hub.example")


def program(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def engine_faults(home: Path, *, from_lock: bool = True) -> list[str]:
    return [str(failure) for failure in engine(BAKE, from_lock=from_lock, user=None, home=home)]


def test_an_engine_of_the_right_release(tmp_path: Path) -> None:
    program(tmp_path / "venv/bin/python", "echo some warning >&2", "echo 0.5.23")
    assert engine_faults(tmp_path) == []


def test_an_engine_of_another_release(tmp_path: Path) -> None:
    program(tmp_path / "venv/bin/python", "echo 0.5.19")
    [said] = engine_faults(tmp_path)
    assert said == (
        "FAIL engine: SGLang 0.5.19 instead of 0.5.23; run make lock: Pipfile.lock and "
        "settings/data/engine_builds.csv differ"
    )


def test_an_engine_that_cannot_be_imported(tmp_path: Path) -> None:
    program(tmp_path / "venv/bin/python", "echo Traceback >&2", "echo 'ImportError: libnuma.so.1' >&2", "exit 1")
    assert engine_faults(tmp_path) == [
        "FAIL engine: cannot be imported: ImportError: libnuma.so.1; run make lock and bake again"
    ]


def test_no_engine(tmp_path: Path) -> None:
    [said] = engine_faults(tmp_path)
    assert said.startswith("FAIL engine: cannot be imported: No such file or directory: ")


def test_what_stands_for_the_engine(tmp_path: Path) -> None:
    program(tmp_path / "venv/bin/sglang", '[ "$1" = --help ]')
    assert engine_faults(tmp_path, from_lock=False) == []
    program(tmp_path / "venv/bin/sglang", "echo broken >&2", "exit 3")
    assert engine_faults(tmp_path, from_lock=False) == [
        "FAIL engine (REPLACED): does not start: broken; correct ENGINE_INSTALL's folder"
    ]


def test_an_engine_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "TIMEOUT_SECONDS", 0.2)
    hanging = program(tmp_path / "sleeper", "exec sleep 30")
    assert run_as_service([str(hanging)], None) == Ran(1, "", "no end after 0.2 s")


def test_programs_see_only_what_a_unit_gives_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    ran = run_as_service([str(program(tmp_path / "shows", "env"))], None)
    assert ran.status == 0
    assert "HF_TOKEN" not in ran.output


def test_installed_files(tmp_path: Path) -> None:
    program(tmp_path / "opt/sglang-fleet/bin/boot.sh")
    (tmp_path / "opt/sglang-fleet/bin/fleet-agent").touch()
    assert [str(failure) for failure in files(BAKE, tmp_path)] == [
        f"FAIL {tmp_path}/opt/sglang-fleet/bin/fleet-agent: not an executable file; 40-programs.sh must install it",
        "FAIL sglang-fleet-worker.service: not installed; 40-programs.sh must install it",
    ]


def test_the_agent_is_given_the_models_place(tmp_path: Path) -> None:
    program(
        tmp_path / "bin/fleet-agent",
        'grep -q "/models/Tiny\\"" "${3#file://}" && [ "$1 $2" = "check --config" ] || exit 9',
    )
    assert list(agent(BAKE, Path("/models"), None, tmp_path)) == []


def test_what_the_agent_finds(tmp_path: Path) -> None:
    lines = [
        {"subject": "model", "outcome": "failed", "detail": "/models/Tiny is no model"},
        {"subject": "config", "outcome": "ok", "detail": "bake/router"},
        {"subject": "engine", "outcome": "failed", "detail": "gone"},
    ]
    program(tmp_path / "bin/fleet-agent", *(f"echo '{json.dumps(line)}'" for line in lines), "exit 1")
    [failure] = agent(BAKE, Path("/models"), None, tmp_path)
    assert str(failure) == ("FAIL fleet-agent check: model: /models/Tiny is no model, engine: gone; bake again")


def test_an_agent_that_does_not_start(tmp_path: Path) -> None:
    program(tmp_path / "bin/fleet-agent", "echo 'No module named pydantic' >&2", "exit 1")
    [failure] = agent(BAKE, Path("/models"), None, tmp_path)
    assert failure.found == "No module named pydantic"


def test_sample_of_a_worker() -> None:
    worker = sample(BAKE, Path("/opt/sglang/models"))["worker"]
    assert isinstance(worker, dict)
    assert worker["model_path"] == "/opt/sglang/models/Tiny"
