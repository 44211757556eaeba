"""Runs the router `smg` in this process, so that the API key is in no process's arguments and no environment.

smg's own command line takes its arguments as a list (`smg.cli.main`); the kernel shows only those of `fleet-agent`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol, cast

from user_data.agent.aws import get_secret_parameter, get_secret_text
from user_data.agent.host import rooted, write_secret
from user_data.agent.log import MASK, Log
from user_data.node_config import RUN_DIRECTORY, NodeConfig, RouterConfig, TlsConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CERTIFICATE_FILE = f"{RUN_DIRECTORY}/tls-certificate.pem"
KEY_FILE = f"{RUN_DIRECTORY}/tls-key.pem"

# Measured with smg 1.13.0 and two engines at 20 to 50 requests a second.
TUNING = (
    # A worker is listed when it is in service; one that does not answer yet is asked again after this (default 30 s).
    ("--worker-startup-check-interval", "2"),
    # The manifest is read 0.2 s after each change; this reread only brings back what smg itself removed (default 30).
    ("--discovery-check-interval-secs", "2"),
    # Wedge and stall detection judge gRPC workers only; over HTTP the health check alone finds a hang (ADR 0006).
    # /health_generate answers when the scheduler has done anything since it was asked, also after a part of a long
    # prompt, so its time limit is the silence that counts as a hang: one of 6 s, found after 7 s at most. SGLang looks
    # once a second, and parts of 4,096 tokens at 2,200 tokens/s need 4.7 s at worst. One failure is enough (a second
    # would need limits of 3 s for the same result), one success brings a worker back (defaults 3 and 2, every 60 s).
    ("--health-check-endpoint", "/health_generate"),
    ("--health-check-interval-secs", "1"),
    ("--health-check-timeout-secs", "6"),
    ("--health-failure-threshold", "1"),
    ("--health-success-threshold", "1"),
    # Discovery says who belongs to the fleet. Removed after three failed checks, a fleet that is silent as a whole is
    # answered 404 (model unknown: no client retries that); kept, it is 503 with Retry-After; its prefixes stay known.
    ("--no-remove-unhealthy-workers",),
    # A prompt that no cache holds goes to the worker that had least to do when the router last asked. With smg's 10 s
    # all of them go to the same one for so long (measured, ADR 6); a second is the shortest that it takes.
    ("--load-monitor-interval", "1"),
    # The unit's TimeoutStopSec is 20 s longer.
    ("--shutdown-grace-period-secs", "180"),
    # The router balances by load and text; a tokenizer would be fetched from the internet.
    ("--disable-tokenizer-autoload",),
    # What users said is not kept in the router's memory.
    ("--history-backend", "none"),
    ("--log-level", "info"),
    ("--log-json",),
)


class MissingRouterError(RuntimeError):
    """smg is not installed in this environment."""


class _SmgCli(Protocol):
    main: Callable[[list[str]], None]


@dataclass(frozen=True)
class TlsFiles:
    """Where certificate and key are on this host."""

    certificate: Path
    key: Path


def arguments(router: RouterConfig, address: str) -> tuple[str, ...]:
    """Return smg's arguments without the API key.

    `address` is where it listens; its metrics too, because several hosts may share one computer, and behind the host's
    security group only the router's own port is open.
    """
    options = (
        ("--host", address),
        ("--port", str(router.port)),
        ("--prometheus-host", address),
        ("--prometheus-port", str(router.prometheus_port)),
        ("--policy", router.policy),
        ("--balance-abs-threshold", str(router.balance_abs_threshold)),
        ("--balance-rel-threshold", str(router.balance_rel_threshold)),
        ("--max-concurrent-requests", str(router.max_concurrent_requests)),
        ("--request-timeout-secs", str(router.request_timeout_seconds)),
        ("--discovery-provider", "file"),
        ("--discovery-file", str(rooted(router.manifest))),
        *_tls_options(router.tls),
        *TUNING,
    )
    return tuple(word for option in options for word in option)


def listen_address(router: RouterConfig, private_ip: Callable[[], str]) -> str:
    """Return the address to bind: the configured one; for 0.0.0.0 (behind a load balancer) the host's own."""
    return private_ip() if ip_address(router.listen).is_unspecified else router.listen


def command(node: NodeConfig, router: RouterConfig, address: str) -> tuple[str, ...]:
    """Return what `run` does as a command line, the key masked, for people to read."""
    key = ("--api-key", MASK) if node.api_key_parameter else ()
    return ("smg", "launch", *arguments(router, address), *key)


def run(node: NodeConfig, router: RouterConfig, address: str, log: Log) -> None:
    """Fetch the secrets and be the router until SIGTERM, which smg handles itself: it drains, then returns.

    Raises:
        AwsError: a secret cannot be read.
        SecretFormatError: the API key cannot be used.
        MissingRouterError: smg is not installed.
    """
    key = get_secret_parameter(node.api_key_parameter, node.region) if node.api_key_parameter else None
    log.hide(key)
    if router.tls:
        _fetch_tls(router.tls, node.region)
    log.info("router_starting", command=command(node, router, address))
    start_smg(["launch", *arguments(router, address), *(("--api-key", key) if key else ())])
    log.info("router_stopped")


def start_smg(argv: list[str]) -> None:
    """Run smg's command line in this process; returns when it has stopped.

    Raises:
        MissingRouterError: smg is not installed.
    """
    try:
        module = importlib.import_module("smg.cli")
    except ModuleNotFoundError as error:
        raise MissingRouterError(
            "smg is not in this Python's environment; install the Pipfile's [router] group"
        ) from error
    cast("_SmgCli", module).main(argv)


def tls_files() -> TlsFiles:
    """Return where certificate and key are put: a file system in memory, gone when the host stops."""
    return TlsFiles(rooted(CERTIFICATE_FILE), rooted(KEY_FILE))


def _tls_options(tls: TlsConfig | None) -> tuple[tuple[str, str], ...]:
    if tls is None:
        return ()
    files = tls_files()
    return (("--tls-cert-path", str(files.certificate)), ("--tls-key-path", str(files.key)))


def _fetch_tls(tls: TlsConfig, region: str) -> None:
    files = tls_files()
    write_secret(files.certificate, get_secret_text(tls.certificate_secret, region))
    write_secret(files.key, get_secret_text(tls.key_secret, region))
