"""`fleet-agent VERB`: the command line of the on-host programs.

Exit codes: 0 done, 1 it failed (systemd starts it again), 2 the command line or node.json cannot be used.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from user_data.agent import check, discovery, engine, life, publisher, router, telemetry, worker
from user_data.agent.aws import AwsError, Fleet, GroupMember, Metrics, SecretFormatError
from user_data.agent.engine_pages import EnginePages
from user_data.agent.gpu import Nvml, Patient
from user_data.agent.group_calls import GroupCalls
from user_data.agent.host import DEFAULT_CONFIG, ConfigError, load_config, rooted
from user_data.agent.log import Log
from user_data.agent.metadata import MetadataClient, MetadataError
from user_data.agent.prompt_load import Speeds
from user_data.agent.signals import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from user_data.node_config import NodeConfig, RouterConfig, WorkerConfig

OK, FAILED, UNUSABLE = 0, 1, 2


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    options = _parser().parse_args(argv)
    log = Log(options.verb)
    try:
        return VERBS[options.verb](options, log)
    except ConfigError as error:
        return _fail(log, error, UNUSABLE)
    except (
        AwsError,
        SecretFormatError,
        MetadataError,
        router.MissingRouterError,
        worker.EngineFailedError,
        OSError,
    ) as error:
        return _fail(log, error, FAILED)


def _fail(log: Log, error: Exception, code: int) -> int:
    log.error("failed", kind=type(error).__name__, message=str(error))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fleet-agent", description="Programs of an sglang-fleet host.")
    parser.add_argument("verb", choices=sorted(VERBS))
    parser.add_argument("--config", default=DEFAULT_CONFIG, help="file:// address of node.json (default: %(default)s)")
    parser.add_argument("--once", action="store_true", help="do one cycle (discovery) or end once ready (worker)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    return parser


def _check(options: argparse.Namespace, log: Log) -> int:
    return OK if check.check(options.config, log) else FAILED


def _discovery(options: argparse.Namespace, log: Log) -> int:
    node, config = _router_config(options.config)
    fleet = Fleet.connect(node.deployment, node.region, log)
    loop = discovery.Discovery(fleet, rooted(config.manifest), config.discovery_interval_seconds, log)
    load = _publisher(node, config, loop, log)
    if options.dry_run:
        discovery.print_plan(loop)
        publisher.print_loads(load)
        return OK
    if options.once:
        loop.step()
        load.step(datetime.now(UTC))
        return FAILED if loop.failing else OK
    stop = _stop_on_signals()
    publisher.start(load, stop)
    discovery.run(loop, stop)
    return OK


def _publisher(node: NodeConfig, config: RouterConfig, loop: discovery.Discovery, log: Log) -> publisher.Publisher:
    source = publisher.RouterMetrics(lambda: router.listen_address(config, _private_ip), config.prometheus_port)
    sink = Metrics.connect(node.logs.metrics_namespace, node.region)
    place = publisher.Place(node.deployment, source, EnginePages(log), sink, lambda: loop.view)
    return publisher.Publisher(place, log)


def _router(options: argparse.Namespace, log: Log) -> int:
    node, config = _router_config(options.config)
    address = router.listen_address(config, _private_ip)
    if options.dry_run:
        _print_command(router.command(node, config, address))
        return OK
    router.run(node, config, address, log)
    return OK


def _worker(options: argparse.Namespace, log: Log) -> int:
    node, config = _worker_config(options.config)
    host = worker.Host(node, config, _private_ip())
    if options.dry_run:
        _print_command(engine.command(config, host.private_ip, with_key=node.api_key_parameter is not None))
        telemetry.print_metrics(_telemetry(host, log))
        return OK
    stop = _stop_on_signals()
    if not options.once:
        telemetry.start(_telemetry(host, log), stop)
    if config.life_cycle is None or options.once:  # --once is for a look by hand: it answers no hook
        worker.run(host, stop, log, once=options.once)
        return OK
    with MetadataClient() as identity, MetadataClient(waits=()) as signals:  # the signals are asked for again anyway
        member = GroupMember.connect(config.life_cycle.group, identity.identity().instance_id, node.region)
        calls = GroupCalls(member, stop, log)
        life.Life(life.Scene(host, config.life_cycle, calls, Watch(signals, log), stop, log)).run()
    return OK


def _telemetry(host: worker.Host, log: Log) -> telemetry.Telemetry:
    node = host.node
    sink = Metrics.connect(node.logs.metrics_namespace, node.region)
    gpus = Patient(Nvml())
    told = host.worker.speeds
    speeds = Speeds(**told.model_dump()) if told else None
    sources = telemetry.Sources(node.deployment, host.worker.pool, host.url, EnginePages(log), gpus, sink, speeds)
    return telemetry.Telemetry(sources, log)


VERBS: dict[str, Callable[[argparse.Namespace, Log], int]] = {
    "check": _check,
    "discovery": _discovery,
    "router": _router,
    "worker": _worker,
}


def _router_config(source: str) -> tuple[NodeConfig, RouterConfig]:
    node = load_config(source)
    if node.router is None:
        raise ConfigError(f"{source}: router: missing; this host is not a router")
    return node, node.router


def _worker_config(source: str) -> tuple[NodeConfig, WorkerConfig]:
    node = load_config(source)
    if node.worker is None:
        raise ConfigError(f"{source}: worker: missing; this host is not a worker")
    return node, node.worker


def _private_ip() -> str:
    with MetadataClient() as metadata:
        return metadata.identity().private_ip


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


def _print_command(words: tuple[str, ...]) -> None:
    sys.stdout.write(json.dumps({"command": words}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
