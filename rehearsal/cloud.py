"""The one long-lived process of a rehearsal: `python -m rehearsal.cloud --work DIR`.

Emulated AWS API, metadata services and machines. It reads DIR/cloud.json, answers on the control port and ends, with
everything it started, on SIGTERM, SIGINT or when told to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rehearsal.bake.hosts import BuildHosts
from rehearsal.bake.hub import Hub, HubServer
from rehearsal.bake.keeper import ImageKeeper
from rehearsal.cloud_config import CloudConfig
from rehearsal.control import Control
from rehearsal.emulated_aws.calls import Calls
from rehearsal.emulated_aws.faults import ApiFaults
from rehearsal.emulated_aws.images import set_image_state
from rehearsal.emulated_aws.installation import install_extensions
from rehearsal.emulated_aws.inventory import instances, power_off
from rehearsal.emulated_aws.power import MACHINES
from rehearsal.emulated_aws.scaling_groups import tick
from rehearsal.emulated_aws.seed import seed
from rehearsal.emulated_aws.server import ApiServer
from rehearsal.http_server import serve
from rehearsal.machines import Supervisor
from rehearsal.places import API_ADDRESS, API_PORT, CONTROL_PORT, WorkFolder
from rehearsal.processes import become_subreaper, end_marked
from rehearsal.systemd import Reply

ADDRESS_IN_USE = 3
TICK_SECONDS = 0.5

log = logging.getLogger("rehearsal.cloud")


def socket_name(work: WorkFolder) -> str:
    """Abstract Unix socket of the supervisor: no file, no limit on the folder's depth, gone with the process."""
    digest = hashlib.sha256(str(work.root).encode()).hexdigest()[:16]
    return f"sglang-fleet-rehearsal-{digest}"


async def _systemctl(supervisor: Supervisor, line: bytes) -> Reply:
    request = json.loads(line)
    machine = supervisor.by_root(request["root"])
    if machine is None:
        return Reply(1, "this machine is switched off\n")
    return await machine.manager.systemctl(tuple(request["arguments"]))


async def _serve_systemctl(supervisor: Supervisor, name: str) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await _systemctl(supervisor, await reader.readline())
            writer.write(json.dumps({"status": reply.status, "output": reply.output}).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            log.debug("a systemctl call went away")
        finally:
            writer.close()

    return await asyncio.start_unix_server(connected, path="\0" + name)


def _supervisor(work: WorkFolder, config: CloudConfig) -> Supervisor:
    """Seed the emulated account and make the supervisor that follows it."""
    install_extensions()
    images = seed(config)
    supervisor = Supervisor(
        config=config,
        folder=work.machines,
        socket_name=socket_name(work),
        images=images,
        instances=functools.partial(instances, config.region),
        power_off=functools.partial(power_off, config.region),
        machine_on=MACHINES.switched_on,
        machine_off=MACHINES.switched_off,
    )
    if config.build is not None:
        state = functools.partial(set_image_state, config.region)
        supervisor.build_hosts = BuildHosts(config.build, work.build_hosts)
        supervisor.keeper = ImageKeeper(work.images, work.machines, state, tuple(config.build.read_only))
    return supervisor


def _start_hub(config: CloudConfig, control: Control) -> HubServer | None:
    """The model hub, where bakes are played. Raises OSError: the address is in use."""
    if config.build is None or config.build.hub is None:
        return None
    server = HubServer(API_ADDRESS, config.build.hub.port, Hub(config.build.hub, control.hub))
    server.start()
    return server


async def _let_time_pass(region: str, stop: asyncio.Event) -> None:
    """Tick the Auto Scaling life cycle. A failing tick is logged and tried again: it must not end the cloud."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(tick, region)
        except Exception:  # whatever moto's models raise: a fault of the emulation must be read in the log, not end it
            log.exception("a tick of the Auto Scaling life cycle failed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK_SECONDS)


async def run(work: WorkFolder, config: CloudConfig) -> None:
    """Serve until stopped.

    Raises:
        OSError: an address is in use.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    faults, calls = ApiFaults(), Calls()
    api = ApiServer(API_ADDRESS, API_PORT, faults, calls)
    supervisor = _supervisor(work, config)
    api.start()
    control = Control(supervisor, stop, faults, calls)
    hub = _start_hub(config, control)
    orders = await serve(API_ADDRESS, CONTROL_PORT, control.handle)
    systemctl = await _serve_systemctl(supervisor, supervisor.socket_name)
    log.info("emulated AWS at http://%s:%d", API_ADDRESS, API_PORT)
    ticking = asyncio.create_task(_let_time_pass(config.region, stop), name="life cycle")
    try:
        await supervisor.run(stop)
    finally:
        stop.set()
        await ticking
        systemctl.close()
        orders.close()
        if hub is not None:
            await asyncio.to_thread(hub.stop)
        await asyncio.to_thread(api.stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cloud of a work folder until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.cloud", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder; holds cloud.json")
    work = WorkFolder(parser.parse_args(arguments).work.resolve())
    work.create()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    config = CloudConfig.model_validate_json(work.cloud_config.read_text())
    become_subreaper()
    end_marked("SGLANG_FLEET_ROOT", str(work.machines))
    work.cloud_pid.write_text(f"{os.getpid()}\n")
    try:
        asyncio.run(run(work, config))
    except OSError as error:
        log.error("cannot serve: %s", error)  # noqa: TRY400 - the sentence says it all
        return ADDRESS_IN_USE
    finally:
        work.cloud_pid.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
