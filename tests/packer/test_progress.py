"""What is shown while a bake goes on."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from rich.console import Console

from packer.errors import BakeError
from packer.progress import PhaseProgress, clock_time


def shown(*, terminal: bool, fail: bool = False) -> list[str]:
    text, now = io.StringIO(), iter(range(0, 1000, 5))
    console = Console(file=text, force_terminal=terminal, width=100, color_system=None)
    with suppress(BakeError), PhaseProgress(console, "router-x86_64", clock=lambda: next(now)) as progress:
        progress.phase("connect", "over SSH")
        progress.phase("base", "packages")
        if fail:
            raise BakeError
        progress.finish()
    return [line.split("\x1b[2K")[-1].rstrip() for line in text.getvalue().splitlines() if line.strip()]


def test_without_a_terminal_every_phase_is_a_line_when_it_begins() -> None:
    lines = shown(terminal=False)
    assert [line.split()[1] for line in lines[1:]] == ["connect:", "base:"]
    assert lines[0] == "router-x86_64:"


def test_a_phase_that_failed_is_marked() -> None:
    assert shown(terminal=False, fail=True)[-1].endswith("base: packages (failed)")


def test_on_a_terminal_a_phase_is_a_line_with_its_time_when_it_is_over() -> None:
    assert "    0:05  connect: over SSH" in shown(terminal=True)


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (7, "0:07"), (760, "12:40"), (3723, "1:02:03")])
def test_times(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text
