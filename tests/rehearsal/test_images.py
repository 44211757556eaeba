"""What a worker's image carries: the engine, its configuration, and, when ordered, one that cannot start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from rehearsal.cloud_config import CloudConfig, EngineConfig, ImageConfig
from rehearsal.images import ENGINE_COMMAND, ENGINE_LEDGER, build_root
from rehearsal.service import HostFolder

IMAGE = ImageConfig(role="worker", architecture="x86_64", model="tiny")
EMULATOR_CONFIG = "/opt/sglang/emulator/config.json"


def build(host: HostFolder, engine: EngineConfig) -> None:
    venv = Path(sys.prefix)
    build_root(host, CloudConfig(region="r", images=(IMAGE,), router_venv=venv, agent_venv=venv, engine=engine), IMAGE)


def test_an_emulator_has_the_settings_and_a_ledger_of_its_own(tmp_path: Path) -> None:
    host = HostFolder(tmp_path)
    build(host, EngineConfig(emulator={"time_scale": 0.5, "rates": {"decode_step_seconds": 0.1}, "ledger": "/x"}))
    assert json.loads(host.path(EMULATOR_CONFIG).read_text()) == {
        "time_scale": 0.5,
        "rates": {"decode_step_seconds": 0.1},
        "ledger": str(tmp_path / ENGINE_LEDGER.lstrip("/")),
    }


def test_a_host_that_is_started_again_keeps_the_engine_on_its_disk(tmp_path: Path) -> None:
    host = HostFolder(tmp_path)
    build(host, EngineConfig(emulator={"time_scale": 0.5}))
    build(host, EngineConfig(emulator={"time_scale": 2}, broken="no"))
    assert json.loads(host.path(EMULATOR_CONFIG).read_text())["time_scale"] == 0.5
    assert host.path(ENGINE_COMMAND).resolve().name == "sglang-emulator"


@pytest.mark.parametrize("kind", ["emulator", "sglang"])
def test_a_broken_engine_says_its_last_words_and_ends(tmp_path: Path, kind: str) -> None:
    host = HostFolder(tmp_path / "host")
    real = {} if kind == "emulator" else {"program": Path("/bin/true"), "model": tmp_path}
    build(host, EngineConfig.model_validate({"kind": kind, "broken": "RuntimeError: CUDA error: $HOME", **real}))
    ended = subprocess.run([host.path(ENGINE_COMMAND), "serve"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "RuntimeError: CUDA error: $HOME\n")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"bot_seconds": 1}, "bot_seconds: no such key; use one of"),
        ({"rates": {"speed": 1.0}}, r"rates\.speed: no such key"),
        ({"time_scale": 0}, "time_scale and cache_block_tokens must be above 0"),
        ({"boot_seconds": "long"}, "valid number"),
    ],
)
def test_settings_that_the_emulator_would_refuse_are_refused_here(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        EngineConfig.model_validate({"emulator": settings})
