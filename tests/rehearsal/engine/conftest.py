from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rehearsal.real_engine import ENGINE_ARGUMENTS, ENVIRONMENT, RealEngine, prepare
from rehearsal.real_engine.preparation import install_shims, make_model
from tests.rehearsal.engine.support import REPOSITORY, RunningEngine, emulator_command, started, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator

# An environment made beforehand (the category worker-cpu), for working on these tests without the lock.
READY_VENV = "REAL_ENGINE_VENV"
LIMITS = ("--max-running-requests", "4", "--max-queued-requests", "3", "--served-model-name", "tiny")


def _parts() -> RealEngine:
    cache = REPOSITORY / ".cache"
    venv = os.environ.get(READY_VENV)
    if not venv:
        return prepare(cache)
    python = Path(venv) / "bin" / "python"
    install_shims(Path(venv) / "lib" / "python3.11" / "site-packages", print)
    return RealEngine(python, python.parent / "sglang", make_model(python, cache, print))


@pytest.fixture(scope="session")
def real_engine_parts() -> RealEngine:
    return _parts()


@pytest.fixture(scope="module")
def real_engine(real_engine_parts: RealEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    command = [str(real_engine_parts.sglang_bin), "serve", "--model-path", str(real_engine_parts.model_dir), *LIMITS]
    for key, value in ENGINE_ARGUMENTS.items():
        command += ["--" + key.replace("_", "-"), *([] if value is True else [str(value)])]
    with started(command, "127.64.31.1", tmp_path_factory.mktemp("real"), dict(ENVIRONMENT)) as engine:
        engine.wait_ready(400)
        yield engine


@pytest.fixture(scope="module")
def emulated_engine(real_engine_parts: RealEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    folder = tmp_path_factory.mktemp("emulated")
    command = emulator_command(
        "--enable-cache-report", "--max-total-tokens", "20000", *LIMITS, model=str(real_engine_parts.model_dir)
    )
    environment = write_config(folder, time_scale=0.2)
    with started(command, "127.64.31.2", folder, environment) as engine:
        engine.wait_ready(10)
        yield engine
