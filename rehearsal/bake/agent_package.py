"""A package with the name of the Amazon CloudWatch agent, signed by a key made on the spot.

What the router's image and the workers' do with the real one is done with it: download, check of the signature against
a pinned fingerprint, installation. The programs in it do nothing; the rehearsal ships logs itself.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "amazon-cloudwatch-agent"
PACKAGE, SIGNATURE, KEY = f"{NAME}.deb", f"{NAME}.deb.sig", f"{NAME}.gpg"
HOME = f"opt/aws/{NAME}"
CONTROL = """\
Package: {name}
Version: 1.0.0-rehearsal
Architecture: {architecture}
Maintainer: a rehearsal <rehearsal@localhost>
Description: stands for the Amazon CloudWatch agent in a rehearsal
"""
UNIT = f"""\
[Unit]
Description=Stands for the Amazon CloudWatch agent in a rehearsal

[Service]
ExecStart=/{HOME}/bin/start-{NAME}

[Install]
WantedBy=multi-user.target
"""
PROGRAM = """\
#!/bin/sh
# Stands for the Amazon CloudWatch agent: the rehearsal ships this host's logs itself.
exec sleep infinity
"""
CONTROLLER = """\
#!/bin/sh
# Stands for the Amazon CloudWatch agent's control program.
exit 0
"""


@dataclass(frozen=True)
class SignedPackage:
    """Where package, signature and key are, and the key's fingerprint."""

    folder: Path
    fingerprint: str


def _tree(folder: Path, architecture: str) -> None:
    files: Mapping[str, tuple[str, int]] = {
        "DEBIAN/control": (CONTROL.format(name=NAME, architecture=architecture), 0o644),
        f"{HOME}/bin/start-{NAME}": (PROGRAM, 0o755),
        f"{HOME}/bin/{NAME}": (PROGRAM, 0o755),
        f"{HOME}/bin/{NAME}-ctl": (CONTROLLER, 0o755),
        f"etc/systemd/system/{NAME}.service": (UNIT, 0o644),
    }
    for name, (text, mode) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)


def _gpg(home: Path, *arguments: str) -> str:
    command = ["gpg", "--homedir", str(home), "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"]
    done = subprocess.run([*command, "--passphrase", "", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def _sign(folder: Path, home: Path) -> str:
    _gpg(home, "--quick-generate-key", "a rehearsal's packages <rehearsal@localhost>", "ed25519", "sign", "never")
    listing = _gpg(home, "--list-keys", "--with-colons").splitlines()
    fingerprint = next(line.split(":")[9] for line in listing if line.startswith("fpr:"))
    _gpg(home, "--detach-sign", "--output", str(folder / SIGNATURE), str(folder / PACKAGE))
    _gpg(home, "--armor", "--export", "--output", str(folder / KEY), fingerprint)
    return fingerprint


def make_agent_package(folder: Path, architecture: str) -> SignedPackage:
    """Make package, signature and public key in a folder. The secret key is gone when this returns.

    Raises:
        subprocess.CalledProcessError: dpkg-deb or gpg failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as scratch:  # short: gpg's agent has a socket in its home
        tree, home = Path(scratch, "tree"), Path(scratch, "gpg")
        _tree(tree, architecture)
        home.mkdir(mode=0o700)
        build = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(folder / PACKAGE)]
        subprocess.run(build, capture_output=True, check=True)
        try:
            fingerprint = _sign(folder, home)
        finally:
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], capture_output=True, check=False)
            shutil.rmtree(home, ignore_errors=True)
    return SignedPackage(folder, fingerprint)
