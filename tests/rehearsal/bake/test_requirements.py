"""What a computer lacks is said in one sentence with the remedy."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from rehearsal.bake import requirements
from rehearsal.places import API_ADDRESS
from rehearsal.tools import MissingToolError


def test_packer_is_named_first(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match=r"packer: 'packer' is not found; install Packer"):
        requirements.check_programs({"PATH": str(tmp_path)})


def test_missing_programs_are_named_with_their_packages(tmp_path: Path) -> None:
    packer = tmp_path / "packer"
    packer.write_text("#!/bin/sh\necho 'Packer v1.6.6'\n")
    packer.chmod(0o755)
    with pytest.raises(MissingToolError, match=r"bake rehearsal: .*gpg.* not found; apt-get install .*gpg.*systemd"):
        requirements.check_programs({"PATH": str(tmp_path)})


def test_an_old_python_of_the_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho Python 3.10.12\n")
    python.chmod(0o755)
    monkeypatch.setattr(requirements, "SYSTEM_PYTHON", python)
    with pytest.raises(
        MissingToolError, match=r"is Python 3\.10\.12; .* needs Python 3\.11 or later: run it on Debian 12"
    ):
        requirements.check_python()


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(MissingToolError, match="must run Debian or Ubuntu; play the other scenarios"):
        requirements.check_system()


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingToolError, match="only root may lay overlays over /usr; run it as root"):
        requirements.check_system()


def test_a_refused_namespace_is_told_with_the_kernels_word(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match=r"No such file or directory; a bake rehearsal needs mount, process"):
        requirements.check_namespaces(tmp_path / "absent")


def test_a_taken_port_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((API_ADDRESS, 0))
        taken.listen()
        monkeypatch.setattr(requirements, "SSH_PORT", taken.getsockname()[1])
        assert requirements.ssh_port() == requirements.UNPRIVILEGED_SSH_PORT
