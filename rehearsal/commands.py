"""Runs the tools of a rehearsal: output to a log file and to whoever shows progress, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.processes import end_marked

TAIL_LINES = 20
GRACE_SECONDS = 3.0
MARK = "SGLANG_FLEET_REHEARSAL"


class StepFailedError(Exception):
    """A step of the rehearsal failed; carries the log that says why."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log

    @property
    def tail(self) -> str:
        """Last lines of the log."""
        return tail(self.log) if self.log is not None else ""


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Last lines of a file; empty when there is none."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@dataclass(frozen=True)
class CommandRunner:
    """Runs commands in one folder with one environment. Every process it starts carries a mark, and is found by it."""

    folder: Path
    environment: Mapping[str, str]
    mark: str

    def run(
        self, name: str, command: Sequence[str], log: Path, on_line: Callable[[str], None] = lambda _: None
    ) -> None:
        """Run a command to its end.

        Raises:
            StepFailedError: it did not start, or ended with another status than 0.
        """
        environment = {**self.environment, MARK: self.mark}
        with log.open("a", buffering=1) as output:
            output.write(f"$ {' '.join(command)}\n")

            def take(line: str) -> None:
                output.write(line)
                on_line(line)

            try:
                status = self._follow(command, environment, take)
            except OSError as error:
                raise StepFailedError(f"{name}: {command[0]} does not start: {error.strerror}", log) from error
            finally:
                self.clean_up()
        if status != 0:
            raise StepFailedError(f"{name} failed with exit status {status}", log)

    def _follow(self, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]) -> int:
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # ctrl-C reaches this process, which then ends the tools in order
        )
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker: stdout=PIPE
            for line in process.stdout:
                on_line(line)
            return process.wait()
        except BaseException:  # ctrl-C above all: the tools must go whatever the reason
            os.killpg(process.pid, signal.SIGTERM)
            end_marked(MARK, self.mark, GRACE_SECONDS)
            process.wait()
            raise

    def clean_up(self) -> tuple[int, ...]:
        """End whatever the commands left running (Terraform's provider processes have sessions of their own)."""
        return end_marked(MARK, self.mark)
