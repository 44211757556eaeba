from __future__ import annotations

import pytest

from packer.host.gpu_driver import check, installed
from packer.host.report import StepError


@pytest.mark.parametrize("version", ["580.95.05", "595.91.07", "1000.1"])
def test_new_enough(version: str) -> None:
    assert check(version) == version


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (None, r"the base image has no NVIDIA driver \(modinfo nvidia finds no module\); take a newer base image"),
        ("570.172.08", "the NVIDIA driver is 570.172.08, and CUDA 13 needs R580 or newer"),
        ("open", "the NVIDIA module says 'open' of its version"),
    ],
)
def test_refused(version: str | None, sentence: str) -> None:
    with pytest.raises(StepError, match=sentence):
        check(version)


def test_a_host_without_modinfo_has_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert installed() is None
