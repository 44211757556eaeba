"""Discovery and the real router smg, as the processes that a host runs, on an emulated AWS with fake engines.

Needs a Python with the Pipfile's [router] group: .cache/venvs/router, or the one that ROUTER_PYTHON names.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from tests.user_data.fake_engine import Engine, serve
from tests.user_data.nodes import ROUTER, node
from user_data.node_config import (
    DIMENSION_DEPLOYMENT,
    DIMENSION_POOL,
    METRIC_INTERVAL_SECONDS,
    METRIC_LOAD,
    TAG_DEPLOYMENT,
    TAG_ENGINE_PORT,
    TAG_MODEL,
    TAG_POOL,
    NodeConfig,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
ROUTER_PYTHON = Path(os.environ.get("ROUTER_PYTHON", REPOSITORY / ".cache/venvs/router/bin/python"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ROUTER_PYTHON.exists(), reason="no environment with smg; `make setup` makes it"),
]

KEY = "sk-0123456789abcdef"
PARAMETER = "/sglang-fleet/fleet/api-key"
ADDRESS, PORT, ENGINE_PORT = "127.64.210.250", 8000, 30000
REGION = "eu-central-1"
# Round robin, because cache_aware may well send all requests of a single idle client to one worker.
OVERRIDES = {"tls": None, "discovery_interval_seconds": 1, "policy": "round_robin"}


def eventually(what: str, done: Callable[[], bool], seconds: float = 20.0, every: float = 0.02) -> float:
    """Wait until `done`; returns how long that took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if done():
            return time.monotonic() - started
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {what}")


class Cloud:
    """moto with one group of two instances, and a fake engine at each one's address."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        credentials = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        self._client: Callable[[str], Any] = lambda service: boto3.client(  # type: ignore[call-overload]
            service, region_name=REGION, endpoint_url=endpoint, **credentials
        )
        self.autoscaling, self.ec2 = self._client("autoscaling"), self._client("ec2")
        self.cloudwatch = self._client("cloudwatch")
        self._client("ssm").put_parameter(Name=PARAMETER, Value=KEY, Type="SecureString")
        vpc = self.ec2.create_vpc(CidrBlock="127.64.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="127.64.210.0/25")["Subnet"]["SubnetId"]
        self._group("other", subnet, "elsewhere", size=2)
        self._group("pool", subnet, "fleet", size=2)
        self._group("empty", subnet, "fleet", size=0)
        self.engines = {address: Engine(model="org/Tiny", api_key=KEY, name=address) for address in self.addresses()}
        self._servers = [serve(engine, address, ENGINE_PORT) for address, engine in self.engines.items()]

    def _group(self, name: str, subnet: str, deployment: str, size: int) -> None:
        template = {"ImageId": "ami-12c6146b", "InstanceType": "g6e.xlarge"}
        self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=template)
        tags = {TAG_DEPLOYMENT: deployment, TAG_POOL: name, TAG_MODEL: "org/Tiny", TAG_ENGINE_PORT: "30000"}
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=4,
            DesiredCapacity=size,
            VPCZoneIdentifier=subnet,
            LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
        )

    def instances(self) -> list[str]:
        groups = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["pool"])
        return [instance["InstanceId"] for instance in groups["AutoScalingGroups"][0]["Instances"]]

    def addresses(self) -> list[str]:
        found = self.ec2.describe_instances(InstanceIds=self.instances())["Reservations"]
        return [instance["PrivateIpAddress"] for reservation in found for instance in reservation["Instances"]]

    def loads(self, pool: str) -> list[float]:
        """What was published for the pool, oldest first, asked for by the names that the scaling policies use."""
        dimensions = {DIMENSION_DEPLOYMENT: "fleet", DIMENSION_POOL: pool}
        now = datetime.now(UTC)
        answer = self.cloudwatch.get_metric_statistics(
            Namespace="sglang-fleet",
            MetricName=METRIC_LOAD,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=1,  # moto begins periods at the first value, so ten seconds would not be CloudWatch's ten seconds
            Statistics=["Average"],
        )
        points = {point["Timestamp"].timestamp(): point["Average"] for point in answer["Datapoints"]}
        times = sorted(points)
        periods = [at // METRIC_INTERVAL_SECONDS for at in times]
        assert all(later == earlier + 1 for earlier, later in pairwise(periods)), times
        return [points[at] for at in times]

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class Host:
    """The router host: its folder, and the two programs of its units."""

    def __init__(self, root: Path, endpoint: str) -> None:
        self.root = root
        router = ROUTER.model_copy(update={"listen": ADDRESS, "port": PORT, **OVERRIDES})
        config: NodeConfig = node(router=router, key=PARAMETER)
        path = root / "etc/sglang-fleet/node.json"
        path.parent.mkdir(parents=True)
        path.write_text(config.model_dump_json())
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "SGLANG_FLEET_ROOT": str(root),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.http = httpx.Client(base_url=f"http://{ADDRESS}:{PORT}", trust_env=False, timeout=60)

    def dry_run(self) -> list[dict[str, Any]]:
        argv = [sys.executable, "-m", "user_data.agent", "discovery", "--dry-run", "--once"]
        printed = subprocess.run(argv, env=self._environment, cwd=self.root, capture_output=True, check=True).stdout
        return [line for line in map(json.loads, printed.splitlines()) if line.get("metric") == METRIC_LOAD]

    def start(self, verb: str) -> None:
        python = str(ROUTER_PYTHON) if verb == "router" else sys.executable
        with (self.root / f"{verb}.log").open("ab") as log:
            argv = [python, "-m", "user_data.agent", verb]
            self.processes[verb] = subprocess.Popen(argv, env=self._environment, stdout=log, stderr=log, cwd=self.root)

    def log(self, verb: str) -> str:
        return (self.root / f"{verb}.log").read_text()

    def chat(self, key: str | None = KEY) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = {"model": "org/Tiny", "messages": [{"role": "user", "content": f"{time.monotonic_ns()}"}]}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)

    def ready_workers(self) -> int:
        try:
            answer = self.http.get("/readiness")
        except httpx.TransportError:
            return -1
        return int(answer.json().get("healthy_workers", 0))

    def close(self) -> None:
        self.http.close()
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def moto() -> Iterator[ThreadedMotoServer]:
    server = ThreadedMotoServer("127.64.210.254", port=4566, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cloud(moto: ThreadedMotoServer) -> Iterator[Cloud]:
    address, port = moto.get_host_and_port()
    endpoint = f"http://{address}:{port}"
    httpx.post(f"{endpoint}/moto-api/reset", trust_env=False)
    made = Cloud(endpoint)
    yield made
    made.close()


@pytest.fixture
def host(tmp_path: Path, cloud: Cloud) -> Iterator[Host]:
    made = Host(tmp_path, cloud.endpoint)
    for verb in ("discovery", "router"):
        made.start(verb)
    yield made
    made.close()


def test_requests_reach_both_workers_with_the_key_and_only_with_it(host: Host, cloud: Cloud) -> None:
    eventually("two workers", lambda: host.ready_workers() == 2)
    answers = {host.chat().json()["choices"][0]["message"]["content"] for _ in range(20)}
    assert answers == {f"from {address}" for address in cloud.engines}
    assert [host.chat(key).status_code for key in (KEY, None, "wrong-key")] == [200, 401, 401]
    forwarded = {key for engine in cloud.engines.values() for path, key in engine.seen if path.endswith("completions")}
    assert forwarded == {f"Bearer {KEY}"}
    for process in host.processes.values():
        folder = Path(f"/proc/{process.pid}")
        assert KEY.encode() not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    assert KEY not in host.log("router") + host.log("discovery")
    assert host.http.get(f"http://{ADDRESS}:{ROUTER.prometheus_port}/metrics").status_code == 200


def test_the_load_per_ready_worker_arrives_with_zeros(host: Host, cloud: Cloud) -> None:
    eventually("two workers", lambda: host.ready_workers() == 2)
    hold = threading.Event()
    for engine in cloud.engines.values():
        engine.hold = hold
    with ThreadPoolExecutor(5) as clients:
        answers = [clients.submit(host.chat) for _ in range(5)]
        eventually("a value with requests in flight", lambda: 2.5 in cloud.loads("pool"), 25, 0.5)
        assert [(line["pool"], line["value"]) for line in host.dry_run()] == [("empty", 0.0), ("pool", 2.5)]
        hold.set()
        assert {answer.result().status_code for answer in answers} == {200}
    eventually("a value without requests", lambda: cloud.loads("pool")[-1] == 0.0, 15, 0.5)
    assert set(cloud.loads("empty")) == {0.0}
    assert "load_not_published" not in host.log("discovery").partition("load_published")[2]
    host.processes["discovery"].send_signal(signal.SIGTERM)
    assert host.processes["discovery"].wait(2) == 0


def test_scale_in_aws_outage_and_router_restart(host: Host, cloud: Cloud, moto: ThreadedMotoServer) -> None:
    eventually("two workers", lambda: host.ready_workers() == 2)
    gone = cloud.instances()[0]
    cloud.autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=gone, ShouldDecrementDesiredCapacity=True)
    assert eventually("one worker", lambda: host.ready_workers() == 1, 10) <= 3.0
    moto.stop()
    eventually("outage told", lambda: "aws_unavailable" in host.log("discovery"))
    assert host.log("discovery").count("aws_unavailable") == 1
    assert host.chat().status_code == 200


def test_a_restarted_router_finds_its_fleet_without_discovery(host: Host) -> None:
    eventually("two workers", lambda: host.ready_workers() == 2)
    host.processes["discovery"].send_signal(signal.SIGTERM)
    assert host.processes["discovery"].wait(5) == 0
    host.processes["router"].kill()
    host.processes["router"].wait()
    host.start("router")
    assert eventually("two workers again", lambda: host.ready_workers() == 2) <= 5.0
    host.processes["router"].terminate()
    assert host.processes["router"].wait(20) == 0
