"""What a base image brings besides this computer's own files: a login for Packer, and stand-ins."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from rehearsal.places import REPOSITORY
from rehearsal.service import HostFolder

STAND_INS = REPOSITORY / "rehearsal" / "bake" / "stand_ins"
# Folders of a root that a host has for itself, with their modes.
OWN = {"home": 0o755, "media": 0o755, "mnt": 0o755, "opt": 0o755, "root": 0o700, "srv": 0o755, "tmp": 0o1777}
LAYERS = ("usr", "etc", "var")
# Links into /usr on a merged system; folders, and so layers, where /usr is not merged (hier(7), file-hierarchy(7)).
MAYBE_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
SSHD_CONFIGURATION = """\
HostKey /run/build-host/host_key
AuthorizedKeysFile .ssh/authorized_keys
AllowUsers {user}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
LogLevel VERBOSE
SetEnv {environment}
"""


def layers(root: Path = Path("/")) -> tuple[str, ...]:
    """Folders of this computer that are the lower layers of a build host."""
    return (*LAYERS, *(name for name in MAYBE_LINKS if (root / name).is_dir() and not (root / name).is_symlink()))


def sshd_configuration(user: str, environment: Mapping[str, str]) -> str:
    """The SSH server's settings: this one user, by key, with the server's own choice of algorithms."""
    # One SetEnv line: of several, sshd takes the first.
    pairs = " ".join(_quoted(f"{name}={value}") for name, value in sorted(environment.items()))
    return SSHD_CONFIGURATION.format(user=user, environment=pairs or "REHEARSAL=yes")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _links(host: HostFolder) -> None:
    for name in MAYBE_LINKS:
        link = Path("/", name)
        if link.is_symlink() and not host.path(name).is_symlink():
            host.path(name).symlink_to(link.readlink())


def _with_user(lines: list[str], user: str, entry: str) -> str:
    return "\n".join([*(line for line in lines if line.partition(":")[0] != user), entry, ""])


def _user(host: HostFolder, user: str) -> None:
    """Packer's login is root under another name: it may do what sudo lets it do on the real image.

    Its password is `*` and not `!`: without PAM, sshd refuses a user whose password is locked.
    """
    etc = host.path("/etc")
    for name, entry, mode in (
        ("passwd", f"{user}:x:0:0:build host:/home/{user}:/bin/bash", 0o644),
        ("shadow", f"{user}:*:19000:0:99999:7:::", 0o640),
    ):
        known = etc / name if (etc / name).exists() else Path("/etc", name)
        (etc / name).write_text(_with_user(known.read_text().splitlines(), user, entry))
        (etc / name).chmod(mode)


def _authorize(host: HostFolder, home: str, line: str) -> None:
    folder = host.path(f"{home}/.ssh")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    keys = folder / "authorized_keys"
    keys.write_text(f"{line}\n")
    keys.chmod(0o600)


def _stand_ins(host: HostFolder) -> None:
    for source in sorted(STAND_INS.iterdir()):
        target = host.path(f"/usr/sbin/{source.name}" if source.name == "policy-rc.d" else f"/usr/bin/{source.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755)


def make_base(host: HostFolder, user: str, key: str) -> None:
    """Make a host's folder as cloud-init leaves a fresh instance of an image: its user may log in with the key.

    What the folder has already, of an image that was baked, stays. The key's line ends with its name, as EC2's does:
    Packer looks for that name when it removes the key.
    """
    for name, mode in OWN.items():
        host.path(name).mkdir(parents=True, exist_ok=True)
        host.path(name).chmod(mode)
    for name in layers():
        host.path(name).mkdir(exist_ok=True)
    _links(host)
    _user(host, user)
    for home in (f"/home/{user}", "/root"):
        _authorize(host, home, key)
    _stand_ins(host)
    _name_servers(host)


def _name_servers(host: HostFolder) -> None:
    """systemd-resolved's file lies below /run, which a build host has for itself."""
    resolv = Path("/etc/resolv.conf")
    if resolv.is_symlink() and resolv.exists():
        host.path("/etc/resolv.conf").write_text(resolv.read_text())
