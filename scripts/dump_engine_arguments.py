"""Write `settings/data/sglang_arguments.json`: every server argument of the pinned SGLang release.

The release's own wheel is unpacked into a temporary folder and its own argument parser is built. No GPU and no torch
are needed: SGLang declares its arguments as msgspec structs, so msgspec and numpy are real and every other third-party
module is replaced by an empty stand-in while `sglang.srt.server_args` is imported.

    python scripts/dump_engine_arguments.py            # write the file
    python scripts/dump_engine_arguments.py --check    # exit 1 if the committed file differs
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import subprocess
import sys
import tempfile
import tomllib
import types
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "settings" / "data" / "sglang_arguments.json"
# What SGLang's argument declarations really execute; everything else may be a stand-in.
REAL_MODULES = ("sglang", "msgspec", "numpy")
REAL_DISTRIBUTIONS = ("msgspec", "numpy")
# Compiles and loads device code / changes transformers when imported; neither declares an argument.
STAND_IN_PARTS = ("sglang.kernels", "sglang.srt.utils.hf_transformers_patches")
KV_HASH_MODES_FILE = Path("sglang/kernels/ops/kv_canary/consts.py")
# SGLang compares the versions of some dependencies while it is imported; any high number passes.
STAND_IN_VERSION = "99.0.0"


class StandIn(types.ModuleType):
    """A module in which every name exists."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 - what marks a package

    def __getattr__(self, name: str) -> object:
        """Make up the attribute, except the special ones that Python probes for."""
        if name == "__version__":
            return STAND_IN_VERSION
        if name.startswith("__"):
            raise AttributeError(name)
        value = MagicMock(name=f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value


class StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for every third-party module that is not in `REAL_MODULES`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim the module unless it belongs to Python or must be real."""
        del path, target
        top = fullname.partition(".")[0]
        real = top in sys.stdlib_module_names or top in REAL_MODULES
        if real and not fullname.startswith(STAND_IN_PARTS):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make the stand-in."""
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: a stand-in has no code."""


def pinned_version() -> str:
    """Return the SGLang version of the Pipfile's `[worker]` category."""
    pin = tomllib.loads((ROOT / "Pipfile").read_text(encoding="utf-8"))["worker"]["sglang"]
    return str(pin if isinstance(pin, str) else pin["version"]).removeprefix("==")


def install_wheel(version: str, folder: Path) -> None:
    """Unpack the release and the two libraries its declarations need, without their dependencies."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--target", str(folder), f"sglang=={version}", *REAL_DISTRIBUTIONS], check=True)


def load_file(path: Path) -> types.ModuleType:
    """Execute one Python file as a module of its own, without the package around it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build_parser(folder: Path) -> argparse.ArgumentParser:
    """Return SGLang's own argument parser, imported from `folder`."""
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(0, StandInFinder())
    server_args = importlib.import_module("sglang.srt.server_args")
    # These choices are an enum inside the kernel package, in a file that needs nothing else of that package.
    modes = list(load_file(folder / KV_HASH_MODES_FILE).RealKvHashMode)
    vars(server_args)["_real_kv_hash_modes"] = lambda: modes
    parser = argparse.ArgumentParser(add_help=False)
    server_args.ServerArgs.add_cli_args(parser)
    return parser


def is_deprecated(action: argparse.Action) -> bool:
    """Tell whether SGLang itself calls this spelling deprecated, by its action class or the start of its help."""
    by_class = type(action).__name__.startswith("Deprecated")
    return by_class or (action.help or "").lstrip("(").lower().startswith("deprecated")


def describe(action: argparse.Action) -> dict[str, object]:
    """Return what the settings need to know about one argument, leaving out what is empty."""
    plain = action.default if isinstance(action.default, bool | int | float | str) else None
    facts: dict[str, object] = {
        "dest": action.dest,
        "flags": list(action.option_strings),
        "action": type(action).__name__,
        "type": getattr(action.type, "__name__", None),
        "nargs": action.nargs or None,
        "choices": sorted(map(str, action.choices)) if action.choices else None,
        "default": None if action.default is argparse.SUPPRESS else plain,
        "deprecated": is_deprecated(action) or None,
    }
    return {key: value for key, value in facts.items() if value is not None}


def render(version: str, parser: argparse.ArgumentParser) -> str:
    """Return the file's text: one argument per line, in SGLang's own order, so that a version bump reads as a diff."""
    lines = [json.dumps(describe(action), ensure_ascii=True) for action in parser._actions]  # noqa: SLF001
    head = f'{{"sglang": {json.dumps(version)}, "generated_by": "scripts/dump_engine_arguments.py", "arguments": [\n'
    return head + ",\n".join(lines) + "\n]}\n"


def main() -> int:
    """Write or check the file; return the exit code."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--check", action="store_true", help="compare with the committed file instead of writing it")
    options.add_argument("--version", help="SGLang version; default: the one pinned in the Pipfile")
    chosen = options.parse_args()
    version = chosen.version or pinned_version()
    with tempfile.TemporaryDirectory() as folder:
        install_wheel(version, Path(folder))
        text = render(version, build_parser(Path(folder)))
    if not chosen.check:
        TARGET.write_text(text, encoding="utf-8")
        print(f"{TARGET.relative_to(ROOT)}: {text.count(chr(10)) - 2} arguments of SGLang {version}")
        return 0
    same = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
    print(f"{TARGET.relative_to(ROOT)}: {'is' if same else 'is NOT'} what SGLang {version} declares")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
