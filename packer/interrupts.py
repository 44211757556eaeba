"""Ctrl-C, SIGTERM and a closed terminal end the program that is running, once, and let the rest of a bake clean up."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from types import FrameType

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is open, these signals are requests: nothing is raised, and the code at work looks at `requested`.

    The program runs in a session of its own. Otherwise a terminal's ctrl-C would reach it beside the signal from here,
    and Packer takes a second one as the order to leave everything as it is.
    """

    def __init__(self) -> None:
        self.requested = False
        self._process: subprocess.Popen[str] | None = None
        self._patience = 0.0
        self._timer: threading.Timer | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup a closed terminal means nothing
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # as it was returned

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._pass_on()

    @contextmanager
    def passed_to(self, process: subprocess.Popen[str], patience: float) -> Iterator[None]:
        """Hand a request on to this program's whole group; what has not ended so many seconds later is killed."""
        self._process, self._patience = process, patience
        if self.requested:
            self._pass_on()
        try:
            yield
        finally:
            self._process = None
            if self._timer:
                self._timer.cancel()
                self._timer = None

    def _pass_on(self) -> None:
        process = self._process
        if process is None or self._timer is not None or process.poll() is not None:
            return
        self._timer = threading.Timer(self._patience, _signal_group, (process, signal.SIGKILL))
        self._timer.daemon = True
        self._timer.start()
        _signal_group(process, signal.SIGINT)


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it has just ended
