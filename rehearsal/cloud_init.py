"""cloud-init, the part that this project's user data uses: `write_files` and `runcmd`, executed for real."""

from __future__ import annotations

import asyncio
import base64
import binascii
import gzip
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal.processes import die_with_parent
from rehearsal.service import HostFolder

OUTPUT_LOG = "/var/log/cloud-init-output.log"
BOOT_FINISHED = "/var/lib/cloud/instance/boot-finished"
HEADER = "#cloud-config"
KNOWN_KEYS = frozenset({"write_files", "runcmd"})


class CloudConfigError(ValueError):
    """User data that cloud-init would not execute, or that uses what the rehearsal does not know."""


@dataclass(frozen=True)
class FileToWrite:
    """One entry of `write_files`."""

    path: str
    content: bytes
    permissions: int
    append: bool


@dataclass(frozen=True)
class CloudConfigData:
    """What a machine does on its first boot."""

    files: tuple[FileToWrite, ...]
    commands: tuple[tuple[str, ...], ...]


def _content(entry: dict[str, Any]) -> bytes:
    raw = str(entry.get("content", "")).encode()
    encoding = str(entry.get("encoding", "text/plain")).lower()
    try:
        if encoding in {"b64", "base64"}:
            return base64.b64decode(raw, validate=True)
        if encoding in {"gz+b64", "gz+base64", "gzip+b64", "gzip+base64"}:
            return gzip.decompress(base64.b64decode(raw, validate=True))
    except (binascii.Error, OSError) as error:
        raise CloudConfigError(f"write_files: {entry.get('path')}: not {encoding}: {error}") from error
    if encoding != "text/plain":
        raise CloudConfigError(f"write_files: {entry.get('path')}: encoding {encoding} is not known")
    return raw


def _file(entry: object) -> FileToWrite:
    if not isinstance(entry, dict) or not str(entry.get("path", "")).startswith("/"):
        raise CloudConfigError(f"write_files: an entry needs an absolute path: {entry!r}")
    permissions = int(str(entry.get("permissions", "0644")), 8)
    return FileToWrite(entry["path"], _content(entry), permissions, bool(entry.get("append", False)))


def _command(entry: object) -> tuple[str, ...]:
    if isinstance(entry, str):
        return ("/bin/sh", "-c", entry)
    if isinstance(entry, list) and entry:
        return tuple(str(word) for word in entry)
    raise CloudConfigError(f"runcmd: {entry!r} is neither a command line nor a list of words")


def parse_user_data(user_data: bytes) -> CloudConfigData:
    """Read user data; gzip is unpacked as cloud-init does.

    Raises:
        CloudConfigError: not a cloud-config, or with a key the rehearsal does not execute.
    """
    text = (gzip.decompress(user_data) if user_data[:2] == b"\x1f\x8b" else user_data).decode()
    if text.partition("\n")[0].strip() != HEADER:
        raise CloudConfigError(f"user data must begin with {HEADER}")
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise CloudConfigError(f"not YAML: {error}") from error
    unknown = sorted(set(data) - KNOWN_KEYS)
    if unknown:
        raise CloudConfigError(f"keys that a rehearsal does not execute: {', '.join(unknown)}")
    files = tuple(_file(entry) for entry in data.get("write_files") or [])
    return CloudConfigData(files, tuple(_command(entry) for entry in data.get("runcmd") or []))


def write_files(host: HostFolder, files: tuple[FileToWrite, ...]) -> None:
    """Write the files below the machine's root."""
    for file in files:
        target = host.path(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab" if file.append else "wb") as output:
            output.write(file.content)
        target.chmod(file.permissions)


async def run_commands(host: HostFolder, commands: tuple[tuple[str, ...], ...], environment: dict[str, str]) -> int:
    """Run the commands one after the other. As in cloud-init, a failing one does not keep the next from running.

    Returns:
        How many failed.
    """
    failed = 0
    log = host.path(OUTPUT_LOG)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab", buffering=0) as output:
        for command in commands:
            output.write(f"+ {shlex.join(command)}\n".encode())
            status = await _run(host, command, environment, output.fileno())
            if status != 0:
                failed += 1
                output.write(f"cloud-init[rehearsal]: exit status {status}\n".encode())
    return failed


async def _run(host: HostFolder, command: tuple[str, ...], environment: dict[str, str], output: int) -> int:
    program, *arguments = command
    try:
        process = await asyncio.create_subprocess_exec(
            host.program(program),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=host.root,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        await asyncio.to_thread(_append, host.path(OUTPUT_LOG), f"cloud-init[rehearsal]: {program}: {error}\n")
        return 127
    return await process.wait()


def _append(path: Path, text: str) -> None:
    with path.open("a") as output:
        output.write(text)


async def first_boot(host: HostFolder, user_data: bytes | None, environment: dict[str, str]) -> int:
    """Execute user data once per instance; a later boot of the same instance does nothing, as in cloud-init.

    Returns:
        How many commands failed.

    Raises:
        CloudConfigError: the user data cannot be executed.
    """
    done = host.path(BOOT_FINISHED)
    if user_data is None or done.exists():
        return 0
    config = parse_user_data(user_data)
    write_files(host, config.files)
    failed = await run_commands(host, config.commands, environment)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.write_text(f"{failed} commands failed\n")
    return failed
