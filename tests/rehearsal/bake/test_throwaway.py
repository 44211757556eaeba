"""A build host: SSH by the one key, a root of its own, and no way to the computer's files from there."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rehearsal.bake.requirements import check_namespaces, check_system
from rehearsal.bake.throwaway import SSHD
from rehearsal.processes import marked
from rehearsal.service import HostFolder
from rehearsal.tools import MissingToolError

pytest.importorskip("moto")

from rehearsal.bake.hosts import BuildHosts, RunningHost
from rehearsal.cloud_config import BuildConfig

pytestmark = pytest.mark.slow

ADDRESS = "127.64.255.251"
PROBE = "sglang-fleet-rehearsal-probe"
ESCAPES = Path(__file__).with_name("escapes.py")


@dataclass(frozen=True)
class Host:
    """A build host that answers."""

    folder: HostFolder
    port: int
    key: Path
    borrowed: Path

    def ssh(self, command: str, key: Path | None = None, **named: Any) -> subprocess.CompletedProcess[str]:
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        chosen = [word for option in options for word in ("-o", option)]
        words = ["ssh", *chosen, "-i", str(key or self.key), "-p", str(self.port), f"ubuntu@{ADDRESS}", command]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, **named)

    def run(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def new_key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text().rsplit(" ", 1)[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("build")
    try:
        check_system()
        check_namespaces(folder)
    except MissingToolError as error:
        pytest.skip(str(error))
    if not Path(SSHD).exists() or shutil.which("ssh") is None:
        pytest.skip("no OpenSSH here")
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    key = f"{new_key(folder / 'key')} packer_key"
    instance = SimpleNamespace(id="i-1", private_ip=ADDRESS, authorized_key=key, devices=("/dev/sda1", "/dev/sdf"))
    config = BuildConfig.model_validate(
        {
            "block": "127.64.128.0/20",
            "port": free_port(),
            "environment": {"PIP_INDEX_URL": 'http://a "quoted" index'},
            "read_only": {str(borrowed): str(borrowed)},
        }
    )
    hosts = BuildHosts(config, folder / "beside", small={"/opt/small": "64k"})
    root = HostFolder(folder / "i-1")
    with running(hosts, instance, root):
        yield Host(root, config.port, folder / "key", borrowed)
    assert marked("SGLANG_FLEET_ROOT", str(root.root)) == ()


class running:  # noqa: N801 - read as a statement
    """A host is up within the block: its event loop is in another thread."""

    def __init__(self, hosts: BuildHosts, instance: object, root: HostFolder) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._start = (hosts, instance, root)

    def __enter__(self) -> RunningHost:
        self._thread.start()
        hosts, instance, root = self._start
        coming = asyncio.run_coroutine_threadsafe(hosts.start(cast("Any", instance), root), self._loop)
        self._host = coming.result(timeout=60)
        return self._host

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._host.stop(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)


def test_the_key_lets_in_and_no_other_does(host: Host, tmp_path: Path) -> None:
    assert host.run("id -u; hostname").split() == ["0", "i-1"]
    new_key(tmp_path / "other")
    refused = host.ssh("true", key=tmp_path / "other")
    assert (refused.returncode, "Permission denied (publickey)" in refused.stderr) == (255, True)


def test_variables_reach_every_session(host: Host) -> None:
    assert host.run('printf %s "$PIP_INDEX_URL"') == 'http://a "quoted" index'
    assert host.run('sudo -H -E env A=b sh -c \'printf "%s %s" "$A" "$PIP_INDEX_URL"\'') == 'b http://a "quoted" index'


@pytest.mark.parametrize("folder", ["/usr/bin", "/usr/local/lib", "/etc", "/var/lib", "/opt", "/root", "/home", "/srv"])
def test_what_it_writes_is_in_its_own_folder(host: Host, folder: str) -> None:
    host.run(f"echo new > {folder}/{PROBE}")
    assert host.folder.path(f"{folder}/{PROBE}").read_text() == "new\n"
    assert not Path(folder, PROBE).exists()


def test_a_file_of_the_computer_that_it_changes_or_removes_stays_as_it_is(host: Host) -> None:
    before = {name: Path(name).read_bytes() for name in ("/etc/passwd", "/etc/os-release", "/usr/bin/env")}
    host.run(
        "echo changed >> /etc/passwd && rm /etc/os-release && echo broken > /usr/bin/env && mv /usr/share/doc /usr/x"
    )
    assert {name: Path(name).read_bytes() for name in before} == before
    assert Path("/usr/share/doc").is_dir()
    host.run("test ! -e /etc/os-release && grep -q changed /etc/passwd && cat /usr/bin/env")


def test_there_is_no_way_out(host: Host) -> None:
    device = Path("/").stat().st_dev
    with ESCAPES.open() as script:
        arguments = f"{os.major(device)} {os.minor(device)} {host.borrowed} {os.getpid()}"
        done = host.ssh(f"/usr/bin/python3 - {arguments}", stdin=script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(host.borrowed.iterdir()) == []


def test_a_small_folder_fills_up(host: Host) -> None:
    done = host.ssh("head -c 100000 /dev/zero > /opt/small/file")
    assert done.returncode != 0
    assert "No space left on device" in done.stderr


def test_a_volume_can_be_formatted_and_only_then_mounted(host: Host) -> None:
    assert '"/dev/sdf"' in host.run("lsblk --json")
    mount = "mkdir -p /opt/models && mount -t ext4 -o rw,noatime /dev/sdf /opt/models"
    assert host.ssh(mount).returncode == 32
    host.run(f"mkfs.ext4 -q -L models /dev/sdf && {mount}")


def test_memory_is_not_on_its_disk(host: Host) -> None:
    host.run("echo secret > /dev/shm/token && echo secret > /run/token")
    assert not host.folder.path("/dev/shm/token").exists()  # noqa: S108 - on the host's disk
    assert not host.folder.path("/run/token").exists()


def test_files_are_copied_in_and_out(host: Host, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("content")
    options = ["-q", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(host.key)]
    for protocol in ("-s", "-O"):  # SFTP, and the older protocol that Packer speaks
        scp = ["scp", *options, protocol, "-P", str(host.port)]
        subprocess.run([*scp, str(tmp_path / "in"), f"ubuntu@{ADDRESS}:/tmp/file"], check=True, timeout=60)
        subprocess.run([*scp, f"ubuntu@{ADDRESS}:/tmp/file", str(tmp_path / "out")], check=True, timeout=60)
        assert (tmp_path / "out").read_text() == "content"
