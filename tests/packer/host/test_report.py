from __future__ import annotations

import pytest

from packer.host.report import Fault, StepError, gib, run_step
from packer.remedies import remedy_for


def test_a_fault_is_one_line_that_the_operators_side_reads(capsys: pytest.CaptureFixture[str]) -> None:
    def step() -> None:
        raise StepError(Fault("the disk is full", "raise volume.size_gib"))

    assert run_step("model", step) == 1
    line = capsys.readouterr().err.strip()
    assert line == "ERROR model: the disk is full; raise volume.size_gib"
    assert remedy_for([line]) == "raise volume.size_gib"


def test_a_step_that_works() -> None:
    assert run_step("model", lambda: None) == 0


@pytest.mark.parametrize(("size", "text"), [(0, "0.0 MiB"), (2**29, "512.0 MiB"), (3 * 2**29, "1.5 GiB")])
def test_sizes(size: int, text: str) -> None:
    assert gib(size) == text
