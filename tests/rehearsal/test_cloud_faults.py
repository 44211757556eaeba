"""Faults of a running cloud: what the callers of its API, its metadata services and its machines' engines then do."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from rehearsal import cloud_process, faults
from rehearsal.cloud_config import CloudConfig, EngineConfig, ImageConfig
from rehearsal.commands import StepFailedError
from rehearsal.leftovers import client, clients
from rehearsal.places import API_URL, NETWORK, WorkFolder, metadata_url
from rehearsal.processes import marked
from user_data.node_config import UNIT_WORKER

pytestmark = pytest.mark.slow

REGION = "us-east-1"
IMAGE = "/sglang-fleet/t/image/workers-default"
PORT = 30000
# As the agent does: the engine is a child of the unit's main process, which ends when the engine does.
START = """engine="$SGLANG_FLEET_ROOT/opt/sglang"
"$engine/venv/bin/sglang" serve --model-path "$engine/models/tiny" --host "$ADDRESS" --port "$PORT" &
wait $!
"""


@dataclass(frozen=True)
class Host:
    """A machine with an engine."""

    id: str
    address: str

    @property
    def url(self) -> str:
        return f"http://{self.address}:{PORT}"

    def report(self) -> dict[str, Any]:
        return next((found for found in cloud_process.machines() if found["id"] == self.id), {})

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", trust_env=False, timeout=1).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


@dataclass(frozen=True)
class Cloud:
    """The running cloud; hosts are launched by a client of the rehearsal's own."""

    work: WorkFolder
    subnet: str

    def launch(self, number: int) -> Host:
        """A host at the address with this number in the network."""
        address = str(NETWORK[number])
        unit = (
            f"[Service]\nExecStart=/bin/sh start.sh\nRestart=always\nRestartSec=0.2\nKillMode=mixed\n"
            f"Environment=ADDRESS={address}\nEnvironment=PORT={PORT}\n"
        )
        files = {f"/etc/systemd/system/{UNIT_WORKER}": unit, "/start.sh": START}
        data = {
            "write_files": [{"path": path, "content": content} for path, content in files.items()],
            "runcmd": [f"systemctl enable --now {UNIT_WORKER}"],
        }
        made = api("ec2").run_instances(
            ImageId=api("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"],
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnet,
            PrivateIpAddress=address,
            UserData="#cloud-config\n" + json.dumps(data),
        )
        return Host(made["Instances"][0]["InstanceId"], address)


def api(service: str) -> Any:
    return client(clients(REGION), service)


def stranger(service: str) -> Any:
    """A client without the mark, as on-host programs and operators' tools have."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=5, proxies={})
    return clients(REGION).client(service, endpoint_url=API_URL, config=config)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    work = WorkFolder(tmp_path_factory.mktemp("cloud") / "work")
    work.create()
    venv = Path(sys.prefix)
    config = CloudConfig(
        region=REGION,
        images=(ImageConfig(role="worker", architecture="x86_64", parameter=IMAGE, model="tiny"),),
        router_venv=venv,
        agent_venv=venv,
        engine=EngineConfig(emulator={"health_seconds": 0.01, "time_scale": 0.05}),
    )
    cloud_process.claim(work)
    cloud_process.start(work, config, keep=False)
    try:
        vpc = api("ec2").create_vpc(CidrBlock=str(NETWORK))["Vpc"]["VpcId"]
        block = str(next(NETWORK.subnets(new_prefix=24)))
        yield Cloud(work, api("ec2").create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"])
    finally:
        cloud_process.stop(work)
        assert marked("SGLANG_FLEET_ROOT", str(work.root)) == ()


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s"
        time.sleep(0.1)
    return found


def test_an_engine_hangs_goes_on_is_killed_and_its_ledger_stays(cloud: Cloud) -> None:
    host = cloud.launch(10)
    until(host.healthy)
    faults.signal_program(host.id, "engine", "STOP")
    assert not host.healthy()
    faults.signal_program(host.id, "engine", "CONT")
    until(host.healthy)
    asked = {"text": "hello", "sampling_params": {"max_new_tokens": 5}}
    httpx.post(f"{host.url}/generate", json=asked, trust_env=False).raise_for_status()
    faults.signal_program(host.id, "engine", "KILL")
    until(lambda: host.report()["restarts"][UNIT_WORKER] == 1)
    until(host.healthy)
    faults.signal_program(host.id, "engine", "STOP")
    begun = time.monotonic()
    api("ec2").terminate_instances(InstanceIds=[host.id])
    until(lambda: host.id not in cloud_process.switched_on())
    assert time.monotonic() - begun < 15, "a host with a hanging engine can be switched off"
    with pytest.raises(StepFailedError, match=f"{host.id}: no such machine is switched on"):
        faults.signal_program(host.id, "engine", "KILL")
    assert [(entry.completion_tokens, entry.finish) for entry in faults.engine_ledgers(cloud.work)] == [(5, "complete")]


def test_the_api_fails_for_everybody_but_the_rehearsal(cloud: Cloud) -> None:
    faults.aws("down")
    with pytest.raises(ConnectionClosedError):
        stranger("ec2").describe_instances()
    host = cloud.launch(20)
    until(host.healthy)  # the supervisor works on
    faults.aws("throttled")
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        stranger("ec2").describe_instances()
    faults.aws("slow", seconds=3.0)  # an answer took 1.2 s on two busy cores
    begun = time.monotonic()
    stranger("ec2").describe_instances()
    assert time.monotonic() - begun >= 3.0
    faults.aws_restored()
    begun = time.monotonic()
    stranger("ec2").describe_instances()
    assert time.monotonic() - begun < 3.0


def test_a_host_without_metadata_service_gets_no_answer(cloud: Cloud) -> None:
    one, other = cloud.launch(30), cloud.launch(31)
    for host in (one, other):
        until(functools.partial(gives_tokens, host))
    faults.metadata_down(one.id)
    assert (gives_tokens(one), gives_tokens(other)) == (False, True)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(metadata_url(one.address), trust_env=False)
    faults.metadata_down()
    assert not gives_tokens(other)
    faults.metadata_restored()
    assert gives_tokens(one)
    assert gives_tokens(other)


def gives_tokens(host: Host) -> bool:
    headers = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    try:
        answer = httpx.put(f"{metadata_url(host.address)}/latest/api/token", headers=headers, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK


def test_the_next_engines_never_get_ready_or_end_at_once(cloud: Cloud) -> None:
    usual = cloud.launch(40)
    until(usual.healthy)
    faults.next_engines({"boot_seconds": 1e9})
    waiting = cloud.launch(41)
    until(lambda: waiting.report().get("failed_commands") == 0)
    faults.next_engines_broken()
    broken = cloud.launch(42)
    until(lambda: broken.report().get("restarts", {}).get(UNIT_WORKER, 0) >= 2)
    assert faults.NO_KERNEL_IMAGE in Path(broken.report()["logs"][UNIT_WORKER]).read_text()
    faults.engines_restored()
    until(cloud.launch(43).healthy)
    assert usual.healthy()
    assert not waiting.healthy()
    assert waiting.report()["restarts"][UNIT_WORKER] == 0
