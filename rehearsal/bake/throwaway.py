"""A build host: a root file system to be thrown away, and an SSH server in it.

    python -m rehearsal.bake.throwaway build-host.json
    python -m rehearsal.bake.throwaway --try FOLDER

The host's root is a folder. This computer's /usr, /etc and /var are the lower layers of overlays whose upper layers are
that folder's own `usr`, `etc` and `var`; every other folder of the root is the folder's own. What a provision script
writes therefore lands below the folder, whatever it does, because

- the mount namespace is private and was pivoted into that root: no mount of this computer is left in it,
- what is shown of this computer besides the lower layers (an interpreter, package indexes) is bound read-only,
- the scripts run in a user namespace made after all mounts: its root can neither make device nodes, nor mount a disk,
  nor open a file by handle, nor take the read-only flag off a mount of its parent (mount_namespaces(7), "locked"),
- /proc is of a process namespace of its own and read-only: neither sysctls nor this computer's processes are within
  reach. Killing the first process of that namespace ends the host with everything that runs on it.

Only the network is this computer's, since the host's address is a loopback address.
"""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401 - a name lookup would import it when the interpreter's files are out of sight
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.bake.kernel import Mount, Namespace, hide, mount, pivot_into, unshare
from rehearsal.processes import die_with_parent

# Usual folders of a root that hold nothing of an image.
VOLATILE = ("run", "dev", "proc", "sys")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
SSH_FOLDER = Path("/run/build-host")
SSHD = "/usr/sbin/sshd"
EVERY_ID = "0 0 4294967295\n"  # identity: files of this computer's users keep their owners
OVERLAY_OPTIONS = "index=off,metacopy=off,redirect_dir=off"  # every change is a whole file of the upper layer
SAFE = Mount.NO_SUID | Mount.NO_DEVICES


@dataclass(frozen=True)
class BuildHost:
    """What the program is told; written as JSON by whoever starts it."""

    name: str
    root: str
    work: str
    """Folder beside the root, on the same file system: work folders of the overlays."""
    layers: tuple[str, ...]
    address: str
    port: int
    host_key: str
    configuration: str
    read_only: tuple[tuple[str, str], ...] = ()
    """Folders and files of this computer that the host sees: where it sees them, and what they are here."""
    volumes: tuple[tuple[str, str], ...] = ()
    """Volumes besides the root's: device, and the file beside the root that stands for it."""
    small: tuple[tuple[str, str], ...] = ()
    """Folders of the host that hold only so much: path, size as tmpfs(5) has it."""

    @property
    def view(self) -> Path:
        """Where the root is put together. Not on the folder itself: an overlay wants its two folders in one mount."""
        return Path(self.work, "root")

    def inside(self, path: str) -> Path:
        """A path of the host while its root is put together."""
        return self.view / path.lstrip("/")

    @classmethod
    def read(cls, text: str) -> BuildHost:
        """From JSON."""
        values: dict[str, Any] = json.loads(text)
        values["layers"] = tuple(values["layers"])
        for name in ("read_only", "volumes", "small"):
            values[name] = tuple((first, second) for first, second in values[name])
        return cls(**values)


def _fresh(folder: Path, options: str = "mode=755", flags: Mount = SAFE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    mount("tmpfs", folder, "tmpfs", flags, options)


def _layer(host: BuildHost, name: str) -> None:
    """This computer's folder, below what the host writes."""
    upper, work = Path(host.root, name), Path(host.work, name)
    for folder in (upper, work):
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir=/{name},upperdir={upper},workdir={work},{OVERLAY_OPTIONS}"
    mount("overlay", host.view / name, "overlay", Mount.NO_DEVICES, options)


def _read_only(target: Path, source: str) -> None:
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount(source, target, flags=Mount.BIND)
    mount(source, target, flags=Mount.BIND | Mount.REMOUNT | Mount.READ_ONLY | SAFE)


def _devices(host: BuildHost) -> None:
    folder = host.inside("dev")
    _fresh(folder, flags=Mount.NO_SUID)
    for name in DEVICES:
        (folder / name).touch()
        mount(f"/dev/{name}", folder / name, flags=Mount.BIND)
    for device, file in host.volumes:
        host.inside(device).touch()
        mount(file, host.inside(device), flags=Mount.BIND)
    for name, target in DEVICE_LINKS.items():
        (folder / name).symlink_to(target)
    _fresh(folder / "shm", "mode=1777")
    (folder / "pts").mkdir()
    mount("devpts", folder / "pts", "devpts", Mount.NO_SUID | Mount.NO_EXEC, "newinstance,ptmxmode=0666,mode=0620")
    mount("tmpfs", folder, flags=Mount.BIND | Mount.REMOUNT | Mount.READ_ONLY | Mount.NO_SUID | Mount.NO_EXEC)


def build_root(host: BuildHost) -> None:
    """Mount everything below the host's folder. In a mount namespace of its own, private from here on."""
    root = host.view
    root.mkdir(parents=True, exist_ok=True)
    mount("none", "/", flags=Mount.RECURSIVE | Mount.PRIVATE)
    mount(host.root, root, flags=Mount.BIND)
    mount(host.root, root, flags=Mount.BIND | Mount.REMOUNT | Mount.NO_DEVICES)
    for name in host.layers:
        _layer(host, name)
    for path, source in host.read_only:
        _read_only(host.inside(path), source)
    _fresh(root / "run")
    _devices(host)
    for path, size in host.small:
        _fresh(host.inside(path), f"mode=755,size={size}")
    (root / "proc").mkdir(exist_ok=True)
    mount("proc", root / "proc", "proc", Mount.READ_ONLY | SAFE | Mount.NO_EXEC)


def _place_ssh_files(key: bytes, configuration: bytes) -> None:
    SSH_FOLDER.mkdir(mode=0o700)
    for name, content in (("host_key", key), ("sshd_config", configuration)):
        (SSH_FOLDER / name).write_bytes(content)
        (SSH_FOLDER / name).chmod(0o600)
    Path("/run/sshd").mkdir(mode=0o755)  # where sshd's unprivileged part is locked up


def _reap(_number: int, _frame: object) -> None:
    """The first process of a namespace is everybody's parent in the end."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _answer(listener: socket.socket, key: bytes, configuration: bytes) -> None:
    """One sshd for each connection, as inetd does: the listening port was taken where that needs no privilege here."""
    _place_ssh_files(key, configuration)
    signal.signal(signal.SIGCHLD, _reap)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # to a namespace's first process only SIGKILL is an order
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            for stream in (0, 1):
                os.dup2(connection.fileno(), stream)
            os.setsid()
            os.execv(SSHD, [SSHD, "-i", "-e", "-f", str(SSH_FOLDER / "sshd_config")])  # noqa: S606 - no shell is meant
        connection.close()


def _live(host: BuildHost, life: Callable[[], None], ready: int, mapped: int) -> None:
    """The first process of the host."""
    die_with_parent()
    unshare(Namespace.MOUNTS | Namespace.NAMES | Namespace.IPC)
    socket.sethostname(host.name)
    build_root(host)
    pivot_into(host.view)
    unshare(Namespace.USERS | Namespace.MOUNTS)
    os.write(ready, b"x")
    if not os.read(mapped, 1):
        return
    hide()
    os.environ.clear()
    life()


def _map_ids(pid: int) -> None:
    for name in ("uid_map", "gid_map"):
        Path("/proc", str(pid), name).write_text(EVERY_ID)


def run(host: BuildHost, life: Callable[[], None]) -> int:
    """Bring the host up and let its first process do something. Prints a line once it is up.

    Returns:
        0 when what it did has ended well.

    Raises:
        OSError: a namespace is refused.
    """
    ready, is_ready = os.pipe()
    mapped, is_mapped = os.pipe()
    unshare(Namespace.PROCESSES)
    child = os.fork()
    if child == 0:
        try:
            _live(host, life, is_ready, mapped)
        except OSError as error:
            sys.stderr.write(f"build host: {error.strerror}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    os.close(is_ready)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    if os.read(ready, 1):
        _map_ids(child)
        os.write(is_mapped, b"x")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _trial(folder: Path) -> int:
    """Whether a root can be made below a folder, and a program run and a file written in it."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        host = BuildHost("trial", f"{scratch}/host", f"{scratch}/work", ("usr", "etc", "var"), "", 0, "", "")
        Path(host.root).mkdir()
        status = run(host, lambda: Path("/usr/written").touch())
        return 0 if status == 0 and Path(host.root, "usr", "written").exists() else 1


def _serve(host: BuildHost) -> int:
    key, configuration = Path(host.host_key).read_bytes(), Path(host.configuration).read_bytes()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.address, host.port))
        listener.listen()
        return run(host, lambda: _answer(listener, key, configuration))


def main(arguments: Sequence[str]) -> int:
    """Run the host that a JSON file describes; with `--try FOLDER`, find out whether one could be run."""
    try:
        if arguments[0] == "--try":
            return _trial(Path(arguments[1]))
        return _serve(BuildHost.read(Path(arguments[0]).read_text()))
    except OSError as error:
        sys.stderr.write(f"build host: {error.strerror}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
