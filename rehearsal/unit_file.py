"""systemd unit files: the part that this project's units use, parsed from the very files that the image carries."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Sections = Mapping[str, Mapping[str, tuple[str, ...]]]

# systemd-system.conf(5): DefaultRestartSec, DefaultTimeoutStopSec, DefaultStartLimit*.
DEFAULT_RESTART_SECONDS = 0.1
DEFAULT_STOP_SECONDS = 90.0
DEFAULT_START_LIMIT_INTERVAL_SECONDS = 10.0
DEFAULT_START_LIMIT_BURST = 5

UNITS_OF_TIME = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class UnitFileError(ValueError):
    """A unit file that systemd would refuse, or that uses what the rehearsal does not know."""


def parse_seconds(text: str) -> float:
    """systemd.time(7): `90`, `5s`, `1min 30s`, `infinity`.

    Raises:
        UnitFileError: not a time span.
    """
    if text == "infinity":
        return float("inf")
    total = 0.0
    for word in text.split():
        digits = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = word[len(digits) :] or "s"
        try:
            total += float(digits) * UNITS_OF_TIME[unit]
        except (KeyError, ValueError):
            raise UnitFileError(f"{text!r} is not a time span; write it like 30, 5s or 1min 30s") from None
    return total


def parse_sections(text: str) -> Sections:
    """Sections, keys, values: a repeated key adds a value, an empty one clears the list, a backslash joins lines."""
    sections: dict[str, dict[str, tuple[str, ...]]] = {}
    current: dict[str, tuple[str, ...]] = {}
    for raw in text.replace("\\\n", " ").splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise UnitFileError(f"{line!r} is neither a section, a comment nor KEY=VALUE")
        key, value = key.strip(), value.strip()
        current[key] = (*current.get(key, ()), value) if value else ()
    return sections


@dataclass(frozen=True)
class Command:
    """One command line; with `may_fail` (a leading dash) its failure is ignored."""

    arguments: tuple[str, ...]
    may_fail: bool = False


@dataclass(frozen=True)
class Unit:
    """A service unit."""

    name: str
    commands: tuple[Command, ...]
    before: tuple[Command, ...] = ()
    after_stop: tuple[Command, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    environment_files: tuple[str, ...] = ()
    working_directory: str | None = None
    runtime_directories: tuple[str, ...] = ()
    log_file: str | None = None
    restart: str = "no"
    restart_seconds: float = DEFAULT_RESTART_SECONDS
    stop_seconds: float = DEFAULT_STOP_SECONDS
    kill_signal: signal.Signals = signal.SIGTERM
    kill_mode: Literal["control-group", "mixed", "process"] = "control-group"
    success_statuses: frozenset[int] = frozenset({0})
    one_shot: bool = False
    start_limit_burst: int = DEFAULT_START_LIMIT_BURST
    start_limit_interval_seconds: float = DEFAULT_START_LIMIT_INTERVAL_SECONDS
    on_failure: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    def restarts_after(self, status: int) -> bool:
        """Whether systemd starts the service again after its main process ended (a signal is a negative status)."""
        clean = status in self.success_statuses or -status in {
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGPIPE,
        }
        match self.restart:
            case "always":
                return True
            case "on-failure":
                return not clean
            case "on-success":
                return clean
            case "on-abnormal" | "on-abort":
                return status < 0 and not clean
            case _:
                return False


def _command(line: str) -> Command:
    command = line.lstrip("-@:+!")
    prefix = line[: len(line) - len(command)]
    words = shlex.split(command)
    if not words:
        raise UnitFileError("an Exec line without a command")
    return Command(tuple(words), may_fail="-" in prefix)


def _signal(name: str) -> signal.Signals:
    try:
        return (
            signal.Signals(int(name))
            if name.isdecimal()
            else signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
        )
    except (KeyError, ValueError):
        raise UnitFileError(f"KillSignal={name} is not a signal") from None


def _kill_mode(value: str) -> Literal["control-group", "mixed", "process"]:
    if value not in ("control-group", "mixed", "process"):
        raise UnitFileError(f"KillMode={value}: the rehearsal knows control-group, mixed and process")
    return value  # type: ignore[return-value]


def _environment(lines: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = (word.partition("=") for line in lines for word in shlex.split(line))
    return tuple((name, value) for name, _, value in pairs)


def _log_file(service: Mapping[str, tuple[str, ...]]) -> str | None:
    for value in service.get("StandardOutput", ()):
        kind, _, path = value.partition(":")
        if kind in {"append", "file", "truncate"}:
            return path
    return None


class _Section:
    """Last values of a section, with defaults."""

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self.values = values

    def all(self, key: str) -> tuple[str, ...]:
        return self.values.get(key, ())

    def words(self, key: str) -> tuple[str, ...]:
        return tuple(word for value in self.all(key) for word in value.split())

    def last(self, key: str, default: str) -> str:
        return self.values.get(key, ())[-1] if self.values.get(key) else default

    def seconds(self, key: str, default: float) -> float:
        text = self.last(key, "")
        return parse_seconds(text) if text else default


def parse_unit(name: str, text: str) -> Unit:
    """Read a service unit.

    Raises:
        UnitFileError: no ExecStart, or a value that is not understood.
    """
    sections = parse_sections(text)
    unit, service = _Section(sections.get("Unit", {})), _Section(sections.get("Service", {}))
    commands = tuple(_command(line) for line in service.all("ExecStart"))
    if not commands:
        raise UnitFileError(f"{name}: no ExecStart")
    statuses = {int(word) for word in service.words("SuccessExitStatus") if word.isdecimal()}
    return Unit(
        name=name,
        commands=commands,
        before=tuple(_command(line) for line in service.all("ExecStartPre")),
        after_stop=tuple(_command(line) for line in service.all("ExecStopPost")),
        environment=_environment(service.all("Environment")),
        environment_files=service.all("EnvironmentFile"),
        working_directory=service.last("WorkingDirectory", "") or None,
        runtime_directories=service.words("RuntimeDirectory"),
        log_file=_log_file(service.values),
        restart=service.last("Restart", "no"),
        restart_seconds=service.seconds("RestartSec", DEFAULT_RESTART_SECONDS),
        stop_seconds=service.seconds("TimeoutStopSec", service.seconds("TimeoutSec", DEFAULT_STOP_SECONDS)),
        kill_signal=_signal(service.last("KillSignal", "SIGTERM")),
        kill_mode=_kill_mode(service.last("KillMode", "control-group")),
        success_statuses=frozenset({0, *statuses}),
        one_shot=service.last("Type", "simple") == "oneshot",
        start_limit_burst=int(unit.last("StartLimitBurst", str(DEFAULT_START_LIMIT_BURST))),
        start_limit_interval_seconds=unit.seconds("StartLimitIntervalSec", DEFAULT_START_LIMIT_INTERVAL_SECONDS),
        on_failure=unit.words("OnFailure"),
        requires=unit.words("Requires") + unit.words("BindsTo"),
    )


def load_unit(folder: Path, name: str) -> Unit:
    """Read a unit from the folder that holds unit files.

    Raises:
        UnitFileError: there is no such unit, or it is wrong.
    """
    path = folder / name
    if not path.is_file():
        raise UnitFileError(f"Unit {name} not found.")
    return parse_unit(name, path.read_text())
