"""The synthesized output of the example, as committed. `make golden` writes it anew; review the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stacks.synthesized import environment

pytestmark = pytest.mark.slow
GOLDEN = Path(__file__).parent / "golden" / "example"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


def synthesized_files() -> dict[str, str]:
    folder = environment("example").folder / "stacks"
    return {f"{path.parent.name}.json": path.read_text() + "\n" for path in sorted(folder.glob("*/cdk.tf.json"))}


def test_the_example_synthesizes_to_what_is_committed() -> None:
    files = synthesized_files()
    if UPDATE:
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for old in GOLDEN.glob("*.json"):
            old.unlink()
        for name, text in files.items():
            (GOLDEN / name).write_text(text)
    committed = {path.name: path.read_text() for path in sorted(GOLDEN.glob("*.json"))}
    assert files == committed


def test_the_output_names_nothing_of_this_machine() -> None:
    root = str(Path(__file__).resolve().parents[2])
    for name, text in synthesized_files().items():
        assert root not in text, name
        assert str(Path.home()) + "/" not in text, name
