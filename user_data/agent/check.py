"""`fleet-agent check`: can this host do its work? Nothing is started and nothing is written.

Only faults that trying again does not mend fail the check, because boot.sh powers the host off then. An AWS API or a
metadata service that does not answer is told and passed: the units keep trying.
"""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from user_data.agent.aws import AwsError, SecretFormatError, get_secret_parameter
from user_data.agent.engine import ENGINE_COMMAND
from user_data.agent.host import ConfigError, load_config, rooted
from user_data.agent.metadata import MetadataClient, MetadataError
from user_data.agent.router import listen_address
from user_data.node_config import COMPILE_CACHE_DIRECTORY, ENGINE_LOG, NodeConfig, RouterConfig, WorkerConfig

if TYPE_CHECKING:
    from pathlib import Path

    from user_data.agent.log import Log

# AWS's codes for "asked properly, and the answer is no".
DEFINITE_CODES = frozenset(
    {"ParameterNotFound", "AccessDenied", "AccessDeniedException", "InvalidKeyId", "ParameterVersionNotFound"}
)

Outcome = Literal["ok", "retried", "failed"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `remedy` is empty when it is as it should be."""

    subject: str
    outcome: Outcome
    detail: str
    remedy: str = ""


Secret = Callable[[str, str], str]


def findings(source: str, read_secret: Secret = get_secret_parameter) -> Iterator[Finding]:
    """Yield what is found, in the order in which a boot needs it."""
    try:
        node = load_config(source)
    except ConfigError as error:
        yield Finding("config", "failed", str(error), "apply the stack again and replace the host")
        return
    yield Finding("config", "ok", f"{node.deployment}/{node.stack}")
    address = yield from _identity()
    if node.router is None and node.worker is None:
        yield Finding("role", "failed", "neither router nor worker", "node.json must have one of the two")
    if node.router:
        yield from _router(node.router, address)
    if node.worker:
        yield from _worker(node.worker)
    if node.api_key_parameter:
        yield _api_key(node, node.api_key_parameter, read_secret)


def check(source: str, log: Log) -> bool:
    """Log every finding; True when none of them failed."""
    found = list(findings(source))
    for finding in found:
        write = {"ok": log.info, "retried": log.warning, "failed": log.error}[finding.outcome]
        remedy = {"remedy": finding.remedy} if finding.remedy else {}
        write("check", subject=finding.subject, outcome=finding.outcome, detail=finding.detail, **remedy)
    return all(finding.outcome != "failed" for finding in found)


def _identity() -> Generator[Finding, None, str | None]:
    try:
        with MetadataClient() as metadata:
            identity = metadata.identity()
    except MetadataError as error:
        yield Finding(
            "metadata", "retried", str(error), "the launch template must leave the metadata service on (IMDSv2)"
        )
        return None
    yield Finding("metadata", "ok", f"{identity.instance_id} {identity.private_ip} {identity.instance_type}")
    return identity.private_ip


def _router(router: RouterConfig, private_ip: str | None) -> Iterator[Finding]:
    if importlib.util.find_spec("smg") is None:
        yield Finding("smg", "failed", "not installed", "bake the router image again (Pipfile category router)")
    else:
        yield Finding("smg", "ok", "installed")
    address = listen_address(router, lambda: private_ip or "127.0.0.1")
    yield _bindable(address)


def _bindable(address: str) -> Finding:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        remedy = "router.address must be an address of this host's subnet that the host was given"
        return Finding("listen address", "failed", f"{address}: {error.strerror}", remedy)
    return Finding("listen address", "ok", address)


def _worker(worker: WorkerConfig) -> Iterator[Finding]:
    yield _executable(rooted(ENGINE_COMMAND))
    yield _model(rooted(worker.model_path))
    for folder in (rooted(COMPILE_CACHE_DIRECTORY), rooted(ENGINE_LOG).parent):
        yield _folder(folder)


def _executable(path: Path) -> Finding:
    if os.access(path, os.X_OK):
        return Finding("engine", "ok", str(path))
    return Finding("engine", "failed", f"{path} is not an executable file", "bake the worker image again")


def _model(path: Path) -> Finding:
    if path.is_file() or (path.is_dir() and any(path.iterdir())):  # a file: GGUF
        return Finding("model", "ok", str(path))
    remedy = "bake an image with this model, or set workers.image to one that has it"
    return Finding("model", "failed", f"{path} is no model: no file, and no folder with files", remedy)


def _folder(path: Path) -> Finding:
    if path.is_dir():
        return Finding("folder", "ok", str(path))
    return Finding("folder", "failed", f"{path} is missing", "bake the worker image again")


def _api_key(node: NodeConfig, name: str, read_secret: Secret) -> Finding:
    subject = "api key"
    try:
        read_secret(name, node.region)
    except SecretFormatError as error:
        return Finding(subject, "failed", str(error), "put a new key into the parameter (fleet init makes one)")
    except AwsError as error:
        if error.code in DEFINITE_CODES:
            return Finding(subject, "failed", str(error), "run fleet init, and check the host's role may read it")
        return Finding(subject, "retried", str(error), "the unit tries again until the AWS API answers")
    return Finding(subject, "ok", name)
