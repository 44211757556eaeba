"""Unit files, as the image carries them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from rehearsal.unit_file import Command, UnitFileError, load_unit, parse_seconds, parse_unit

UNITS = Path(__file__).parents[2] / "user_data" / "systemd"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), ("200ms", 0.2), ("1min 30s", 90.0), ("2h", 7200.0), ("infinity", float("inf")), ("1.5s", 1.5)],
)
def test_time_spans(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "5 parsecs", "s"])
def test_a_wrong_time_span_is_named(text: str) -> None:
    with pytest.raises(UnitFileError, match="is not a time span"):
        parse_seconds(text)


def test_what_the_service_section_says_is_read() -> None:
    unit = parse_unit(
        "x.service",
        """
        # a comment
        [Unit]
        StartLimitIntervalSec=0
        OnFailure=poweroff.target
        [Service]
        ExecStartPre=-/bin/false
        ExecStart=/opt/x \\
          --flag "two words"
        Environment=A=1 "B=2 3"
        Environment=C=4
        Restart=on-failure
        RestartSec=250ms
        TimeoutStopSec=1min
        KillSignal=INT
        KillMode=mixed
        StandardOutput=append:/var/log/x.log
        """,
    )
    assert unit.commands == (Command(("/opt/x", "--flag", "two words")),)
    assert unit.before == (Command(("/bin/false",), may_fail=True),)
    assert unit.environment == (("A", "1"), ("B", "2 3"), ("C", "4"))
    assert (unit.restart, unit.restart_seconds, unit.stop_seconds) == ("on-failure", 0.25, 60.0)
    assert (unit.kill_signal, unit.kill_mode) == (signal.SIGINT, "mixed")
    assert (unit.log_file, unit.on_failure) == ("/var/log/x.log", ("poweroff.target",))
    assert unit.start_limit_interval_seconds == 0


def test_an_empty_value_clears_a_list() -> None:
    unit = parse_unit("x.service", "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\n")
    assert [command.arguments for command in unit.commands] == [("/bin/b",)]


@pytest.mark.parametrize(
    ("restart", "status", "expected"),
    [
        ("no", 1, False),
        ("always", 0, True),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("on-failure", -signal.SIGKILL, True),
        ("on-failure", -signal.SIGTERM, False),
        ("on-success", 0, True),
        ("on-abnormal", 1, False),
        ("on-abnormal", -signal.SIGSEGV, True),
    ],
)
def test_restart_follows_systemd(restart: str, status: int, expected: bool) -> None:
    unit = parse_unit("x.service", f"[Service]\nExecStart=/bin/a\nRestart={restart}\n")
    assert unit.restarts_after(status) is expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[Service]\nRestart=no\n", "no ExecStart"),
        ("[Service]\nExecStart=/a\nKillSignal=LOUD\n", "KillSignal=LOUD is not a signal"),
        ("[Service]\nExecStart=/a\nKillMode=none\n", "KillMode=none"),
        ("[Service]\nnonsense\n", "neither a section, a comment nor KEY=VALUE"),
    ],
)
def test_a_wrong_unit_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UnitFileError, match=sentence):
        parse_unit("x.service", text)


def test_a_missing_unit_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnitFileError, match=r"Unit absent\.service not found"):
        load_unit(tmp_path, "absent.service")


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.name)
def test_the_units_of_this_project_are_understood(path: Path) -> None:
    unit = parse_unit(path.name, path.read_text())
    assert unit.commands[0].arguments[0] == "/opt/sglang-fleet/bin/fleet-agent"
    assert unit.restart == "always"
    assert unit.log_file is not None
