"""Making the real engine ready: shims, model, failures that say what failed."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rehearsal.real_engine import PrepareError, preparation
from rehearsal.real_engine.preparation import compile_imports, install_shims, make_model

if TYPE_CHECKING:
    from rehearsal.real_engine import RealEngine

ROTARY_CHECK = Path(__file__).with_name("rotary_check.py")


def test_shims_are_installed_once(tmp_path: Path) -> None:
    said: list[str] = []
    install_shims(tmp_path, said.append)
    assert sorted(said) == ["shim sitecustomize.py", "shim vllm/__init__.py", "shim vllm/_custom_ops.py"]
    install_shims(tmp_path, said.append)
    assert len(said) == 3
    assert {path.name for path in tmp_path.rglob("*.py")} == {"sitecustomize.py", "__init__.py", "_custom_ops.py"}


def test_a_changed_shim_is_put_right(tmp_path: Path) -> None:
    install_shims(tmp_path, print)
    target = tmp_path / "vllm" / "_custom_ops.py"
    target.write_text("half a fi")
    install_shims(tmp_path, print)
    assert "def rotary_embedding" in target.read_text()


def test_the_import_hook_leaves_other_imports_alone(tmp_path: Path) -> None:
    install_shims(tmp_path, print)
    command = [sys.executable, "-c", "import json, sitecustomize; print(sitecustomize.DECLARED[0])"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)})
    assert found.stdout.startswith("nms(")


@pytest.fixture
def small_venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with one module, which the engine imports."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".lock-fingerprint").write_text("first")
    (tmp_path / "engine_module.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(preparation, "IMPORTED", ("engine_module",))
    return tmp_path


def test_bytecode_is_made_once_for_each_state_of_the_environment(small_venv: Path) -> None:
    said: list[str] = []
    compile_imports(small_venv, said.append)
    assert list(small_venv.glob("__pycache__/engine_module.*.pyc"))
    compile_imports(small_venv, said.append)
    assert len(said) == 1
    (small_venv / ".lock-fingerprint").write_text("second")
    compile_imports(small_venv, said.append)
    assert len(said) == 2


def test_an_engine_that_cannot_be_imported_is_told_and_tried_again(small_venv: Path) -> None:
    (small_venv / "engine_module.py").write_text("import no_such_module")
    for _ in range(2):
        with pytest.raises(PrepareError, match="no_such_module"):
            compile_imports(small_venv, print)


def test_a_step_that_fails_says_what_it_said_and_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "broken_model.py"
    script.write_text("raise SystemExit('no torch here')")
    monkeypatch.setattr(preparation, "MODEL_SCRIPT", script)
    with pytest.raises(PrepareError, match=r"broken_model.py failed \(1\):\nno torch here"):
        make_model(Path(sys.executable), tmp_path / "cache", print)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_model_is_made_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "quick_model.py"
    script.write_text(
        "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.mkdir(); (p / 'model.safetensors').touch()"
    )
    monkeypatch.setattr(preparation, "MODEL_SCRIPT", script)
    said: list[str] = []
    made = [make_model(Path(sys.executable), tmp_path / "cache", said.append) for _ in range(2)]
    assert made[0] == made[1]
    assert (made[0] / "model.safetensors").is_file()
    assert len(said) == 1


@pytest.mark.slow
def test_the_rotary_shim_agrees_with_transformers(real_engine_parts: RealEngine) -> None:
    command = [str(real_engine_parts.python), str(ROTARY_CHECK)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_the_same_corpus_gives_the_same_model(real_engine_parts: RealEngine, tmp_path: Path) -> None:
    again = make_model(real_engine_parts.python, tmp_path, print)
    for file in ("model.safetensors", "tokenizer.json"):
        digests = {sha256((folder / file).read_bytes()).hexdigest() for folder in (again, real_engine_parts.model_dir)}
        assert len(digests) == 1
