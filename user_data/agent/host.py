"""This host's files: where they are, how they are read and written."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from user_data.node_config import NODE_CONFIG_PATH, NodeConfig

ROOT_VARIABLE = "SGLANG_FLEET_ROOT"
"""Prefix of every absolute host path; empty on a host, a machine's folder where several share one computer."""

FILE_SCHEME = "file://"
DEFAULT_CONFIG = FILE_SCHEME + NODE_CONFIG_PATH


class ConfigError(ValueError):
    """`node.json` cannot be used; the sentence says which value and what to do."""


def rooted(path: str) -> Path:
    """Where the absolute host path `path` is on this machine; a path that is not absolute stays as it is."""
    return Path(os.environ.get(ROOT_VARIABLE, "") + path) if path.startswith("/") else Path(path)


def config_path(source: str) -> Path:
    """Path of a `file://` source. Only the default source is below the root: one given by hand is taken as it is.

    The units name the default source too, so that they read the file that cloud-init wrote.

    Raises:
        ConfigError: another scheme.
    """
    if source == DEFAULT_CONFIG:
        return rooted(NODE_CONFIG_PATH)
    if not source.startswith(FILE_SCHEME):
        raise ConfigError(f"--config: {source!r} is not a file:// address; write file:///path/to/node.json")
    return Path(source.removeprefix(FILE_SCHEME))


def load_config(source: str = DEFAULT_CONFIG) -> NodeConfig:
    """Read and check a NodeConfig.

    Raises:
        ConfigError: unreadable or invalid, every fault in one sentence each.
    """
    path = config_path(source)
    try:
        text = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"{path}: {reason}; cloud-init writes it from the instance's user data") from error
    try:
        return NodeConfig.model_validate_json(text)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"{path}: {faults}; image and stacks must be of the same release") from error


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` as a whole: readers see the old or the new file, also after a power cut.

    Raises:
        OSError: the folder is missing, full or not writable; the old file is then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write_durably(temporary, text, mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner reads (0600 from its first byte on), making its folder when missing."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_atomically(path, text, mode=0o600)


def _write_durably(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
