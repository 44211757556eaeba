"""`fleet status` and `fleet why` through the command line, on the emulated AWS and a router in this process."""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from fleet.cli import main
from rehearsal.emulated_aws.installation import install_extensions
from rehearsal.emulated_aws.scaling_groups import WORLD
from rehearsal.emulated_aws.server import ApiServer
from tests.settings.cases import ENVIRONMENTS
from user_data.node_config import TAG_DEPLOYMENT, TAG_ENGINE_PORT, TAG_POOL, TAG_STACK

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
HOST, PORT, ROUTER = "127.64.41.254", 4571, "127.64.32.100"
GROUP, LOG_GROUP, KEY = "looked-at-workers-default", "/sglang-fleet/looked-at/workers-default", "sk-made-up-key"
WORDS = (
    "-e",
    str(ENVIRONMENTS / "rehearsal.toml"),
    "--set",
    "network.vpc_cidr=127.64.32.0/20",
    "--set",
    f"router_ip={ROUTER}",
    "--set",
    "name=looked-at",
)
HOOK = {"LifecycleHookName": "engine-generates", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
GAVE_UP = {
    "level": "error",
    "reason": "not ready within ready_timeout_seconds=60",
    "last_failure": "the engine ended with 1 before it was ready",
    "engine_log": ["Traceback", "torch.OutOfMemoryError: CUDA out of memory."],
}


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    install_extensions()
    made = ApiServer(HOST, PORT)
    made.start()
    yield
    made.stop()


def client(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1", endpoint_url=f"http://{HOST}:{PORT}")  # type: ignore[call-overload]


class Deployment:
    """A group that wants two workers, in two zones of which one has no capacity; nothing is in service yet."""

    def __init__(self) -> None:
        self.aws, self.ec2, self.logs, self.ssm = map(client, ("autoscaling", "ec2", "logs", "ssm"))
        WORLD.market.set_capacity("us-east-1a", available=False)
        vpc = self.ec2.create_vpc(CidrBlock="127.64.0.0/16")["Vpc"]["VpcId"]
        subnets = [self._subnet(vpc, number, zone) for number, zone in ((50, "a"), (51, "b"))]
        data = {"ImageId": "ami-12c6146b", "InstanceType": "g6e.xlarge"}
        self.ec2.create_launch_template(LaunchTemplateName=GROUP, LaunchTemplateData=data)
        tags = {TAG_DEPLOYMENT: "looked-at", TAG_POOL: "default", TAG_ENGINE_PORT: "30000"}
        self.aws.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            MinSize=0,
            MaxSize=4,
            DesiredCapacity=2,
            VPCZoneIdentifier=",".join(subnets),
            LaunchTemplate={"LaunchTemplateName": GROUP, "Version": "1"},
            LifecycleHookSpecificationList=[HOOK],
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
        )
        self._router(subnets[1])
        self.logs.create_log_group(logGroupName=LOG_GROUP)
        self.ssm.put_parameter(Name="/sglang-fleet/looked-at/api-key", Type="SecureString", Value=KEY)
        self.ids = [one["InstanceId"] for one in self.members()]

    def _subnet(self, vpc: str, number: int, zone: str) -> str:
        made = self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"127.64.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
        return str(made["Subnet"]["SubnetId"])

    def _router(self, subnet: str) -> None:
        tags = [{"Key": TAG_DEPLOYMENT, "Value": "looked-at"}, {"Key": TAG_STACK, "Value": "router"}]
        found = self.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=subnet)
        self.router = found["Instances"][0]["InstanceId"]
        self.ec2.create_tags(Resources=[self.router], Tags=tags)

    def members(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.aws.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])[
            "AutoScalingGroups"
        ][0]["Instances"]
        return found

    def finish(self, name: str, result: str = "CONTINUE") -> None:
        self.aws.complete_lifecycle_action(
            LifecycleHookName="engine-generates",
            AutoScalingGroupName=GROUP,
            LifecycleActionResult=result,
            InstanceId=name,
        )

    def write(self, stream: str, *lines: str) -> None:
        self.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines]
        self.logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)

    def end(self) -> None:
        WORLD.market.without_capacity.clear()
        self.aws.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
        self.ec2.terminate_instances(InstanceIds=[self.router])
        self.ec2.delete_launch_template(LaunchTemplateName=GROUP)
        self.logs.delete_log_group(logGroupName=LOG_GROUP)
        self.ssm.delete_parameter(Name="/sglang-fleet/looked-at/api-key")


@pytest.fixture
def deployment(server: None) -> Iterator[Deployment]:  # noqa: ARG001 - it has to run
    made = Deployment()
    yield made
    made.end()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a verb; returns its exit code, what it printed, and its one sentence of error."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{PORT}")

    def run(verb: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fleet", verb, *WORDS, *words])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def router(deployment: Deployment) -> Iterator[None]:
    """A router that lists the first worker, to those who have the key."""
    found = deployment.ec2.describe_instances(InstanceIds=deployment.ids[:1])["Reservations"][0]["Instances"][0]
    entry = {"url": f"http://{found['PrivateIpAddress']}:30000", "is_healthy": True, "status": "ready", "load": 5}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.path == "/readiness" or self.headers["Authorization"] == f"Bearer {KEY}"
            body = {"status": "ready"} if self.path == "/readiness" else {"workers": [entry], "total": 1}
            self.send_response(200 if allowed else 401)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None: ...

    made = ThreadingHTTPServer((ROUTER, 8000), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield
    made.shutdown()
    made.server_close()


@pytest.mark.usefixtures("router")
def test_status_is_1_until_every_wanted_worker_is_in_service(deployment: Deployment, shown: Any) -> None:
    first, second = deployment.ids
    deployment.finish(first)
    code, out, _ = shown("status")
    assert code == 1
    assert "1 of 2 wanted in service (min 0, max 4), 1 pending" in out
    assert f"host {deployment.router} running" in out
    assert "Failed (2 times): Launching a new EC2 instance in us-east-1a: We currently do not have sufficient" in out
    assert KEY not in out
    deployment.finish(second)
    code, out, _ = shown("status", "--json")
    assert code == 0
    told = json.loads(out)
    routing = {one["instance_id"]: one["requests_in_flight"] for one in told["pools"][0]["workers"] if one["routed"]}
    assert (told["complete"], told["router"]["ready"], routing) == (True, True, {first: 5})


def test_status_without_a_router_in_reach_still_answers(deployment: Deployment, shown: Any) -> None:
    for name in deployment.ids:
        deployment.finish(name)
    code, out, _ = shown("status")
    assert code == 0
    assert f"router http://{ROUTER}:8000: unreachable from here: " in out


def test_why_tells_of_a_worker_that_is_gone_and_of_one_that_starts(deployment: Deployment, shown: Any) -> None:
    gone, starting = deployment.ids
    event = {"time": datetime.now(UTC).isoformat(), "program": "worker", "event": "worker_not_ready", **GAVE_UP}
    deployment.write(f"{gone}/agent", json.dumps(event))
    deployment.write(f"{starting}/cloud-init", "boot.sh: sync: done")
    deployment.finish(gone, "ABANDON")
    assert gone not in [one["InstanceId"] for one in deployment.members()]
    code, out, _ = shown("why")
    assert code == 0
    assert out.startswith("Workers are missing: 0 in service, 2 wanted.")
    paragraph = next(part for part in out.split("\n\n") if part.startswith(gone))
    assert f"{gone} (pool default): gone since " in paragraph
    assert "reason: not ready within ready_timeout_seconds=60; the engine ended with 1" in paragraph
    assert "    torch.OutOfMemoryError: CUDA out of memory." in paragraph
    assert "remedy: lower engine.mem_fraction_static" in paragraph
    assert "launch failed in us-east-1a" in out
    found = {one["subject"]: one for one in json.loads(shown("why", "--json")[1])["findings"]}
    assert found[starting]["state"] == "Pending:Wait"
    assert found[starting]["log"] == ["boot.sh: sync: done"]
    code, out, _ = shown("why", gone)
    assert code == 0
    lines = [" ".join(line.split()[2:]) for line in out.splitlines()]
    assert lines[0].startswith(f"group Launching a new EC2 instance: {gone}. At ")
    assert any(line.startswith("agent worker_not_ready reason=not ready") for line in lines)
    assert any("was abandoned: Lifecycle Action Completed with ABANDON Result" in line for line in lines)


def test_why_is_content_when_every_worker_serves(deployment: Deployment, shown: Any) -> None:
    for name in deployment.ids:
        deployment.finish(name)
    code, out, _ = shown("why")
    assert code == 0
    assert out.startswith("Every worker serves: 2 in service, 2 wanted.")
    assert not any(name in out for name in deployment.ids)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("verb", ["status", "why"])
def test_a_deployment_that_is_not_there_is_one_sentence(verb: str, shown: Any) -> None:
    code, out, err = shown(verb, "--set", "region=eu-west-1")
    assert (code, out) == (2, "")
    assert err.startswith("deployment 'looked-at' in eu-west-1: neither workers nor router are there; deploy it with")
    assert err.count("\n") == 1


def test_an_instance_that_nothing_knows_is_one_sentence(deployment: Deployment, shown: Any) -> None:
    assert deployment.ids
    code, _, err = shown("why", "i-0123456789abcdef0")
    assert code == 2
    assert err.startswith("i-0123456789abcdef0: neither the groups of deployment 'looked-at' in us-east-1 nor")


@pytest.mark.parametrize("verb", ["status", "why"])
def test_an_endpoint_that_is_not_there_is_one_sentence(verb: str, shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:1")
    code, _, err = shown(verb)
    assert code == 2
    assert err.startswith("AWS: Could not connect to the endpoint URL")
    assert err.endswith("check the region of the settings, the network, and AWS_ENDPOINT_URL if set\n")
