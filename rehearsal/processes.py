"""Processes of the rehearsal: found by a mark in their environment, ended for good, never left behind.

A host's units run without cgroups here (no root needed), so a process belongs to what its environment says: machines
mark theirs with SGLANG_FLEET_ROOT, systemd marks a unit's run with INVOCATION_ID. Both are inherited by every child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")
PR_SET_PDEATHSIG = 1  # prctl(2)
PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def become_subreaper() -> None:
    """Adopt every orphaned descendant, so that none escapes to init."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """For a child between fork and exec: be killed when the parent is."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def die_with_parent_gently() -> None:
    """For a child between fork and exec: be asked to end when the parent is gone, so that it can clean up."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _environment(pid: int) -> tuple[str, ...]:
    try:
        raw = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return ()  # gone, or another user's: not ours
    return tuple(raw.decode(errors="replace").split("\0"))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def marked(variable: str, value: str) -> tuple[int, ...]:
    """Living processes, other than this one, whose environment has `variable` equal to `value`, or a path below it."""
    wanted = f"{variable}={value}"
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()]
    others = (pid for pid in pids if pid != os.getpid())
    return tuple(
        pid
        for pid in others
        if any(item == wanted or item.startswith(f"{wanted}/") for item in _environment(pid)) and is_alive(pid)
    )


def send(pids: tuple[int, ...], number: signal.Signals) -> None:
    """Signal processes; those that have gone meanwhile are no fault."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end_marked(variable: str, value: str, grace_seconds: float = 0.0) -> tuple[int, ...]:
    """End every marked process: SIGTERM, then SIGKILL after the grace period. Children born meanwhile are caught too.

    Returns:
        The processes that were ended.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + grace_seconds
    give_up = deadline + 10.0
    if grace_seconds > 0:
        send(marked(variable, value), signal.SIGTERM)
    while (left := marked(variable, value)) and time.monotonic() < give_up:
        ended.update(left)
        if time.monotonic() >= deadline:
            send(left, signal.SIGKILL)
        time.sleep(0.05)
    return tuple(sorted(ended))
