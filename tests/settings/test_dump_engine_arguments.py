from __future__ import annotations

import argparse
import importlib.util
import json
import types
from pathlib import Path

from settings.engine_catalogue import engine_catalogue

SCRIPT = Path(__file__).parents[2] / "scripts" / "dump_engine_arguments.py"


def _script() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("dump_engine_arguments", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pin_is_the_version_of_the_committed_file() -> None:
    assert _script().pinned_version() == engine_catalogue().version


def test_what_is_kept_of_an_argument() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--tp-size", "--tensor-parallel-size", type=int, default=1, help="GPUs")
    parser.add_argument("--old", action="store_true", help="(Deprecated, use --new) Old.")
    parser.add_argument("--new", choices=["b", "a"], nargs="*", help="Replaces the deprecated --old.")
    text = _script().render("1.2.3", parser)
    data = json.loads(text)
    assert data["sglang"] == "1.2.3"
    assert data["arguments"] == [
        {
            "dest": "tp_size",
            "flags": ["--tp-size", "--tensor-parallel-size"],
            "action": "_StoreAction",
            "type": "int",
            "default": 1,
        },
        {"dest": "old", "flags": ["--old"], "action": "_StoreTrueAction", "default": False, "deprecated": True},
        {"dest": "new", "flags": ["--new"], "action": "_StoreAction", "nargs": "*", "choices": ["a", "b"]},
    ]
    assert text.count("\n") == len(data["arguments"]) + 2
