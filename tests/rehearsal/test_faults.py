"""A scenario's orders arrive: the typed client against the control port, each seen where it takes effect."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

pytest.importorskip("moto")

from rehearsal import faults
from rehearsal.cloud_config import CloudConfig, EngineConfig
from rehearsal.commands import StepFailedError
from rehearsal.control import Control
from rehearsal.emulated_aws.faults import ApiFaults
from rehearsal.emulated_aws.scaling_groups import WORLD
from rehearsal.engine.ledger import Entry
from rehearsal.http_server import serve
from rehearsal.images import ENGINE_LEDGER
from rehearsal.machines import Machine, Supervisor
from rehearsal.orders import AwsFault
from rehearsal.places import WorkFolder
from rehearsal.service import HostFolder
from rehearsal.systemd import ServiceManager

from .test_metadata import INSTANCE

pytestmark = pytest.mark.slow  # importing moto takes two seconds

HOST, PORT = "127.64.255.253", 4597
NAME = INSTANCE.id


@dataclass(frozen=True)
class Cloud:
    """What the orders of the client act on."""

    supervisor: Supervisor
    api: ApiFaults


def supervisor(tmp_path: Path, engine: EngineConfig) -> Supervisor:
    config = CloudConfig(region="us-east-1", images=(), router_venv=tmp_path, agent_venv=tmp_path, engine=engine)
    made = Supervisor(config, tmp_path / "machines", "none", {}, lambda: (INSTANCE,), lambda _: None)
    host = HostFolder(tmp_path / "machines" / NAME)
    made.machines[NAME] = Machine(INSTANCE, host, ServiceManager(host, {}, lambda _: None))
    return made


@pytest.fixture
def engine() -> EngineConfig:
    return EngineConfig(emulator={"time_scale": 0.5})


@pytest.fixture
def cloud(tmp_path: Path, engine: EngineConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A control port without a cloud behind it, on an event loop of its own."""
    made = Cloud(supervisor(tmp_path, engine), ApiFaults())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    control = Control(made.supervisor, asyncio.Event(), made.api)
    server = asyncio.run_coroutine_threadsafe(serve(HOST, PORT, control.handle), loop).result(5)
    monkeypatch.setattr(faults, "CONTROL_URL", f"http://{HOST}:{PORT}")
    yield made
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_the_apis_fault_is_the_last_one_ordered(cloud: Cloud) -> None:
    faults.aws("down")
    faults.aws("slow", seconds=2)
    assert cloud.api.of_call("Boto3") == AwsFault(kind="slow", seconds=2.0)
    faults.aws_restored()
    assert cloud.api.of_call("Boto3") is None


def test_metadata_services_fall_silent_one_by_one_or_all(cloud: Cloud) -> None:
    outage = cloud.supervisor.metadata_outage
    faults.metadata_down(NAME)
    assert (outage.covers(NAME), outage.covers("i-other")) == (True, False)
    faults.metadata_down()
    assert outage.covers("i-other")
    faults.metadata_restored()
    assert not outage.covers(NAME)
    assert not outage.covers("i-other")


def test_the_next_engines_differ_until_restored(cloud: Cloud, engine: EngineConfig) -> None:
    faults.next_engines({"boot_seconds": 1e9})
    assert cloud.supervisor.next_engine == EngineConfig(emulator={"time_scale": 0.5, "boot_seconds": 1e9})
    faults.next_engines_broken()
    assert cloud.supervisor.next_engine == engine.model_copy(update={"broken": faults.NO_KERNEL_IMAGE})
    faults.engines_restored()
    assert cloud.supervisor.next_engine is None


@pytest.mark.parametrize("engine", [EngineConfig(kind="sglang")])
def test_a_real_engine_can_be_broken_but_not_be_set(cloud: Cloud) -> None:
    with pytest.raises(StepFailedError, match="the real engine takes no emulator settings"):
        faults.next_engines({"boot_seconds": 1})
    faults.next_engines_broken("no")
    assert cloud.supervisor.next_engine == EngineConfig(kind="sglang", broken="no")


@pytest.mark.usefixtures("cloud")
def test_a_zone_runs_out_of_capacity_and_has_it_again() -> None:
    faults.capacity("us-east-1a", available=False)
    assert WORLD.market.without_capacity == {"us-east-1a"}
    faults.capacity("us-east-1a", available=True)
    assert WORLD.market.without_capacity == set()


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (lambda: faults.spot_notice("i-none"), "/spot-notice: .*i-none"),
        (lambda: faults.rebalance("i-none"), "/rebalance: .*i-none"),
        (lambda: faults.metadata_down("i-none"), "/metadata-down: i-none: no such machine is switched on"),
        (lambda: faults.signal_program("i-none", "engine", "KILL"), "/signal: i-none: no such machine is switched on"),
        (lambda: faults.signal_program(NAME, "router", "KILL"), "/signal: no router runs: sglang-fleet-router.service"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(order: Callable[[], None], sentence: str) -> None:
    with pytest.raises(StepFailedError, match=f"the emulated cloud refuses {sentence}"):
        order()


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/aws-fault", {"kind": "odd"}, "kind: Input should be 'down', 'throttled' or 'slow'"),
        ("/aws-fault", {"kind": "down", "shares": 1}, "shares: Extra inputs are not permitted"),
        ("/signal", {"instance": NAME, "program": "engine", "signal": "HUP"}, "signal: Input should be 'KILL'"),
        ("/next-engines", {"emulator": {"bot_seconds": 1}}, "emulator: Value error, bot_seconds: no such key"),
        ("/capacity", {"zone": "a", "available": "no"}, "available: Input should be a valid boolean"),
        ("/capacity", [], "Input should be an object"),
        ("/nonsense", {}, "no such order; use one of /aws-denied, /aws-fault, /aws-restored"),
    ],
)
def test_what_is_not_understood_is_answered_400_and_a_sentence(path: str, body: object, sentence: str) -> None:
    answer = httpx.post(f"http://{HOST}:{PORT}{path}", json=body, trust_env=False)
    assert answer.status_code == 400
    assert sentence in answer.text
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"kind": "throttled", "share": 1.5}, "less than or equal to 1"),
        ({"kind": "slow"}, "seconds: 0 does not go with 'slow'; give seconds with 'slow' only"),
        ({"kind": "down", "seconds": 3}, "seconds: 3 does not go with 'down'"),
    ],
)
def test_a_fault_without_sense_is_not_even_sent(fault: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        faults.aws(**fault)


def test_a_cloud_that_is_not_there_is_a_failed_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "CONTROL_URL", f"http://{HOST}:1")
    with pytest.raises(StepFailedError, match=f"the emulated cloud at http://{HOST}:1 does not answer"):
        faults.aws_restored()


def test_the_ledgers_of_all_machines_are_read_in_order_of_the_end(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    assert faults.engine_ledgers(work) == ()
    first = Entry("e", "1", None, "/generate", 1, 0, 1, "", 0.0, None, 1.0, "complete")
    entries = [replace(first, rid=str(number), ended=float(number)) for number in (1, 2, 3)]
    for machine, of_machine in (("i-a", [entries[0], entries[2]]), ("i-b", [entries[1]])):
        file = work.machines / machine / ENGINE_LEDGER.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in of_machine))
    assert faults.engine_ledgers(work) == tuple(entries)
