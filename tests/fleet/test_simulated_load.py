"""A simulation's JSON becomes a load, and what is none is refused in one sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fleet.simulated_load import read_load
from settings.costs.tokens import Load
from settings.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"policy": "ours", "gpu_hours": 5.0, "prompt_tokens": 100, "output_tokens": 9_000, "usd": None}
OTHER = {**ROW, "policy": "fixed", "gpu_hours": 8.0}


def _file(folder: Path, **changes: object) -> Path:
    path = folder / "load.json"
    path.write_text(json.dumps({"trace": "t", "seconds": 7200.0, "policies": [OTHER, ROW], **changes}))
    return path


def test_our_policy_or_the_one_named(tmp_path: Path) -> None:
    file = _file(tmp_path)
    assert read_load(file, "default") == Load("default", 2.0, 5.0, 9_000, 100)
    assert read_load(file, "coder", "fixed") == Load("coder", 2.0, 8.0, 9_000, 100)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seconds": 0}, "(seconds: Input should be greater than 0)"),
        ({"policies": []}, "(policies: Tuple should have at least 1 item"),
        ({"policies": [{**ROW, "output_tokens": 0}]}, "(policies.0.output_tokens: Input should be greater than 0)"),
        ({"policies": [{"policy": "ours"}]}, "(policies.0.gpu_hours: Field required)"),
    ],
)
def test_what_is_no_simulation_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_load(_file(tmp_path, **changes), "default")
    (fault,) = refused.value.faults
    assert words in str(fault)
    assert str(fault).endswith("make it with `fleet simulate --trace TRACE --json > FILE`")


def test_a_missing_file_a_broken_one_and_an_unknown_policy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file or directory"):
        read_load(tmp_path / "none.json", "default")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(SettingsError, match=r"\(the text: Invalid JSON"):
        read_load(broken, "default")
    with pytest.raises(SettingsError, match="has no policy 'mine'; name one of fixed, ours"):
        read_load(_file(tmp_path), "default", "mine")
