"""The folder that stands for SGLang on a worker's image: the engine emulator with all that it imports.

It runs with the system's Python, as whatever user the image's services have: nothing in it leads out of the image.
"""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

from rehearsal.places import REPOSITORY

# What rehearsal.engine imports, with what those import; all pure Python (PyYAML works without its C part).
PACKAGES = ("anyio", "click", "h11", "idna", "prometheus_client", "sniffio", "starlette", "uvicorn", "yaml")
MODULES = ("typing_extensions.py",)
SOURCES = ("rehearsal/__init__.py", "rehearsal/engine", "settings/data/sglang_arguments.json")
SYSTEM_PYTHON = Path("/usr/bin/python3")
LAUNCHER = REPOSITORY / "rehearsal" / "host" / "sglang-emulator"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so")


def make_engine(folder: Path) -> None:
    """Make the folder, laid out as below /opt/sglang."""
    shutil.rmtree(folder, ignore_errors=True)
    launcher, python = folder / "venv" / "bin" / "sglang", folder / "emulator" / "venv" / "bin" / "python"
    for place in (launcher, python):
        place.parent.mkdir(parents=True)
    shutil.copyfile(LAUNCHER, launcher)
    launcher.chmod(0o755)
    python.symlink_to(SYSTEM_PYTHON)
    source = folder / "emulator" / "source"
    for name in SOURCES:
        _copy(REPOSITORY / name, source / name)
    for name in (*PACKAGES, *MODULES):
        _copy(Path(sysconfig.get_path("purelib"), name), source / name)


def _copy(what: Path, where: Path) -> None:
    where.parent.mkdir(parents=True, exist_ok=True)
    if what.is_dir():
        shutil.copytree(what, where, ignore=LEFT_OUT)
    else:
        shutil.copyfile(what, where)
