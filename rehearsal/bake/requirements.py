"""What a computer needs for bakes to be rehearsed on it, said in one sentence before anything starts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from packer.errors import PackerMissingError
from packer.program import find_packer
from rehearsal.bake.stand_in_engine import SYSTEM_PYTHON
from rehearsal.bake.throwaway import SSHD
from rehearsal.places import API_ADDRESS
from rehearsal.tools import MissingToolError, parse_version

PYTHON_MINIMUM = (3, 11)
SSH_PORT, UNPRIVILEGED_SSH_PORT = 22, 2222
# Program → Debian package.
PROGRAMS = {
    SSHD: "openssh-server",
    "ssh-keygen": "openssh-client",
    "scp": "openssh-client",
    "dpkg-deb": "dpkg",
    "gpg": "gpg",
    "systemctl": "systemd",
    "systemd-sysusers": "systemd",
    "systemd-tmpfiles": "systemd",
    str(SYSTEM_PYTHON): "python3",
}
TRIAL_SECONDS = 30.0


def check_system() -> None:
    """The operating system, and who runs this.

    Raises:
        MissingToolError: another system, or not root.
    """
    if sys.platform != "linux" or not Path("/etc/debian_version").exists():
        raise MissingToolError(
            "bake rehearsal: build hosts are made of this computer's own files and install packages with apt, so it "
            "must run Debian or Ubuntu; play the other scenarios, or run it in a virtual machine with one of them"
        )
    if os.geteuid() != 0:
        raise MissingToolError(
            "bake rehearsal: only root may lay overlays over /usr; run it as root (everything it changes is below the "
            "work folder), or play the other scenarios"
        )


def check_programs(environ: Mapping[str, str]) -> None:
    """Packer, and what build hosts and packages are made with.

    Raises:
        MissingToolError: one is not there, or too old.
    """
    try:
        find_packer(environ)
    except PackerMissingError as error:
        raise MissingToolError(str(error)) from error
    missing = {name: package for name, package in PROGRAMS.items() if not shutil.which(name, path=environ.get("PATH"))}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise MissingToolError(f"bake rehearsal: {', '.join(missing)} not found; apt-get install {packages}")


def check_python() -> None:
    """The Python that a build host has, because it is this computer's.

    Raises:
        MissingToolError: it is too old for the lock file.
    """
    asked = subprocess.run([SYSTEM_PYTHON, "--version"], capture_output=True, text=True, check=False)
    version = parse_version(asked.stdout)
    if version < PYTHON_MINIMUM:
        raise MissingToolError(
            f"bake rehearsal: {SYSTEM_PYTHON} is {asked.stdout.strip() or 'broken'}; build hosts have it, and the "
            "lock file needs Python 3.11 or later: run it on Debian 12, Ubuntu 24.04 or later"
        )


def check_namespaces(folder: Path) -> None:
    """Try it: a root of its own below the work folder, in which a program runs.

    Raises:
        MissingToolError: the kernel or a container around this refuses.
    """
    command = [sys.executable, "-m", "rehearsal.bake.throwaway", "--try", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise MissingToolError(
            f"{said}; a bake rehearsal needs mount, process and user namespaces, and overlays on {folder}: run it on "
            "the computer itself or in a virtual machine, not in an unprivileged container or on an overlay"
        )


def ssh_port() -> int:
    """Port of build hosts: SSH's own, unless something of this computer listens there on every address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((API_ADDRESS, SSH_PORT))
        except OSError:
            return UNPRIVILEGED_SSH_PORT
    return SSH_PORT


def check_all(environ: Mapping[str, str], folder: Path) -> None:
    """Everything.

    Raises:
        MissingToolError: with the remedy.
    """
    checks: tuple[Callable[[], None], ...] = (
        check_system,
        lambda: check_programs(environ),
        check_python,
        lambda: check_namespaces(folder),
    )
    for check in checks:
        check()
