"""Runs on a build host, as root, and tries to get at the computer that it runs on. Prints what it managed to do."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SYS_ADMIN_ERRORS = (OSError, subprocess.CalledProcessError)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def make_disk() -> None:
    os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(int(sys.argv[1]), int(sys.argv[2])))  # noqa: S108


def open_by_handle() -> None:
    """As the program that escaped from early containers: the root folder of the file system is inode 2."""

    class Handle(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("kind", ctypes.c_int), ("bytes", ctypes.c_ubyte * 8))

    handle = Handle(8, 1, (ctypes.c_ubyte * 8)(*struct.pack("II", 2, 0)))
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.open("/", os.O_RDONLY)
    if libc.open_by_handle_at(folder, ctypes.byref(handle), os.O_RDONLY) < 0:
        raise OSError(ctypes.get_errno(), "open_by_handle_at")


def write_borrowed() -> None:
    Path(sys.argv[3], "written").touch()


def remount_borrowed() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", sys.argv[3].encode(), None, ctypes.c_ulong(32 | 4096), None) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def unmount(path: str) -> Callable[[], None]:
    def attempt() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.umount2(path.encode(), 2) != 0:
            raise OSError(ctypes.get_errno(), "umount2")

    return attempt


def new_proc() -> None:
    Path("/tmp/proc").mkdir(exist_ok=True)  # noqa: S108
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"proc", b"/tmp/proc", b"proc", ctypes.c_ulong(0), None) != 0:
        raise OSError(ctypes.get_errno(), "mount proc")


def open_files_of_the_first_process() -> None:
    for link in Path("/proc/1/fd").iterdir():
        link.readlink()


ATTEMPTS: dict[str, Callable[[], object]] = {
    "make a device node of the disk": make_disk,
    "open the file system by handle": open_by_handle,
    "write to a borrowed folder": write_borrowed,
    "make a borrowed folder writable": remount_borrowed,
    "unmount a borrowed folder": unmount(sys.argv[3]),
    "unmount /usr": unmount("/usr"),
    "unmount /proc": unmount("/proc"),
    "mount another /proc": new_proc,
    "set where cores go": lambda: Path("/proc/sys/kernel/core_pattern").write_text("|/bin/true"),
    "press a magic key": lambda: Path("/proc/sysrq-trigger").write_text("h"),
    "look at the first process's program": lambda: Path("/proc/1/exe").readlink(),
    "look at the first process's root": lambda: next(Path("/proc/1/root").iterdir()),
    "look at the first process's files": open_files_of_the_first_process,
    "set the clock": lambda: run("date", "--set", "2020-01-01"),
    "reach a process of the computer": lambda: os.kill(int(sys.argv[4]), 0),
    "read memory of the kernel": lambda: Path("/proc/kcore").read_bytes()[:1],
    "see the computer's devices": lambda: Path("/dev/kmsg").stat(),
    "have sysfs": lambda: Path("/sys/kernel").stat(),
}


def main() -> None:
    for what, attempt in ATTEMPTS.items():
        try:
            attempt()
        except SYS_ADMIN_ERRORS:
            continue
        print(what)  # noqa: T201 - its interface


if __name__ == "__main__":
    main()
