"""User data, executed as cloud-init does."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
from pathlib import Path

import pytest

from rehearsal.cloud_init import CloudConfigError, first_boot, parse_user_data
from rehearsal.service import HostFolder


def config(body: str) -> bytes:
    return f"#cloud-config\n{body}".encode()


def environment(host: HostFolder) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "SGLANG_FLEET_ROOT": str(host.root)}


def boot(host: HostFolder, user_data: bytes | None) -> int:
    return asyncio.run(first_boot(host, user_data, environment(host)))


def test_files_are_written_below_the_root_with_their_permissions(tmp_path: Path) -> None:
    secret = base64.b64encode(gzip.compress(b"packed")).decode()
    body = (
        "write_files:\n"
        "- {path: /etc/a/plain, content: hello, permissions: '0600'}\n"
        f"- {{path: /etc/packed, content: {secret}, encoding: gz+b64}}\n"
        "- {path: /etc/packed, content: more, append: true}\n"
    )
    assert boot(HostFolder(tmp_path), config(body)) == 0
    assert (tmp_path / "etc/a/plain").read_text() == "hello"
    assert (tmp_path / "etc/a/plain").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc/packed").read_text() == "packedmore"


def test_commands_run_in_order_and_a_failing_one_does_not_stop_the_next(tmp_path: Path) -> None:
    body = "runcmd:\n- exit 3\n- [sh, -c, 'echo second > $SGLANG_FLEET_ROOT/out']\n- [no-such-program]\n"
    assert boot(HostFolder(tmp_path), config(body)) == 2
    assert (tmp_path / "out").read_text() == "second\n"
    assert "exit status 3" in (tmp_path / "var/log/cloud-init-output.log").read_text()


def test_an_absolute_program_is_the_hosts_own(tmp_path: Path) -> None:
    program = tmp_path / "opt/hello"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$1" > "$SGLANG_FLEET_ROOT/out"\n')
    program.chmod(0o755)
    assert boot(HostFolder(tmp_path), config("runcmd:\n- [/opt/hello, there]\n")) == 0
    assert (tmp_path / "out").read_text() == "there\n"


def test_the_second_boot_of_an_instance_does_nothing(tmp_path: Path) -> None:
    body = config("runcmd:\n- echo once >> $SGLANG_FLEET_ROOT/out\n")
    host = HostFolder(tmp_path)
    boot(host, body)
    boot(host, body)
    assert (tmp_path / "out").read_text() == "once\n"


def test_gzipped_user_data_and_none(tmp_path: Path) -> None:
    assert parse_user_data(gzip.compress(config("runcmd: [[true]]"))).commands == (("True",),)
    assert boot(HostFolder(tmp_path), None) == 0


@pytest.mark.parametrize(
    ("user_data", "sentence"),
    [
        (b"#!/bin/sh\n", "must begin with #cloud-config"),
        (config("packages: [x]\nusers: []"), "does not execute: packages, users"),
        (config("write_files: [{path: etc/x}]"), "needs an absolute path"),
        (config("write_files: [{path: /x, content: '%', encoding: b64}]"), "not b64"),
        (config("write_files: [{path: /x, encoding: rot13}]"), "encoding rot13 is not known"),
        (config("runcmd: [{a: b}]"), "neither a command line nor a list"),
        (config("runcmd: ["), "not YAML"),
    ],
)
def test_what_cloud_init_would_not_do_is_refused(user_data: bytes, sentence: str) -> None:
    with pytest.raises(CloudConfigError, match=sentence):
        parse_user_data(user_data)
