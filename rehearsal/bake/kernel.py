"""Linux system calls that Python 3.11 does not have: namespaces and mounts. Each raises OSError with its arguments."""

from __future__ import annotations

import ctypes
import os
from enum import IntFlag
from pathlib import Path

# pivot_root(2) has no wrapper in libc. Numbers: asm/unistd.h of each architecture.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MNT_DETACH = 2
PR_SET_DUMPABLE = 4


class Namespace(IntFlag):
    """clone(2)."""

    MOUNTS = 0x00020000
    NAMES = 0x04000000
    IPC = 0x08000000
    USERS = 0x10000000
    PROCESSES = 0x20000000


class Mount(IntFlag):
    """mount(2)."""

    NONE = 0
    READ_ONLY = 1
    NO_SUID = 2
    NO_DEVICES = 4
    NO_EXEC = 8
    REMOUNT = 32
    BIND = 4096
    RECURSIVE = 16384
    PRIVATE = 1 << 18


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def unshare(namespaces: Namespace) -> None:
    """Leave these namespaces for new ones."""
    _check(_libc().unshare(int(namespaces)), f"unshare({namespaces!r})")


def mount(
    source: str | Path, target: str | Path, kind: str | None = None, flags: Mount = Mount.NONE, options: str = ""
) -> None:
    """Mount a file system, bind a folder or file, or change what is mounted there."""
    words = [None if value is None else os.fsencode(value) for value in (source, target, kind)]
    done = _libc().mount(*words, ctypes.c_ulong(int(flags)), os.fsencode(options) if options else None)
    _check(done, f"mount {source} on {target} ({kind or flags!r})")


def detach(target: str | Path) -> None:
    """Unmount, now from the tree and wholly when the last user is gone."""
    _check(_libc().umount2(os.fsencode(target), MNT_DETACH), f"unmount {target}")


def pivot_into(root: Path) -> None:
    """Make a mount point the root of this mount namespace, and leave no way back to what was the root."""
    number = PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(0, f"pivot_root is not known here for {os.uname().machine}")
    os.chdir(root)
    _check(_libc().syscall(number, b".", b"."), f"pivot_root {root}")
    detach(".")  # the old root lies over the new one: pivot_root(2), NOTES, 'pivot_root(".", ".")'
    os.chdir("/")


def hide() -> None:
    """Let nobody without this computer's own privileges look into this process: its program, its files, its memory."""
    _check(_libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")
