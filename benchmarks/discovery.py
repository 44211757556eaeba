"""What one discovery cycle costs at 10, 100 and 1,000 workers: time, CPU and AWS API calls.

    python benchmarks/discovery.py [--workers 10 100 1000] [--cycles N] [--json]

The real discovery with real AWS clients, in this process; only the network is left out: each request is answered with
the XML that AWS would send. The first cycle learns every address and writes the manifest; the others are steady state.
AWS's own answering time (tens to hundreds of milliseconds a call) comes on top.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from user_data.agent.aws import POLLING, Fleet
from user_data.agent.discovery import Discovery
from user_data.agent.log import Log
from user_data.agent.manifest import read_manifest
from user_data.node_config import TAG_DEPLOYMENT, TAG_ENGINE_PORT, TAG_MODEL, TAG_POOL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEPLOYMENT = "benchmark"
INTERVAL_SECONDS = 2.0
"""The default of settings' router.discovery_interval_seconds."""
WORKERS_PER_GROUP = 100
DEFAULT_CYCLES = 20


@dataclass(frozen=True)
class Cost:
    """Cost of discovery with so many workers; seconds and CPU of a steady cycle are medians."""

    workers: int
    first_seconds: float
    first_calls: int
    steady_seconds: float
    steady_cpu_seconds: float
    calls_per_second: float


class Cloud:
    """Answers Auto Scaling and EC2 requests for a fleet of one size, and counts them."""

    def __init__(self, workers: int) -> None:
        """Make the answer of Auto Scaling once: it is the same for every cycle."""
        self.calls: Counter[str] = Counter()
        self._addresses = {f"i-{index:017x}": f"10.0.{index // 250}.{index % 250 + 1}" for index in range(workers)}
        self._groups = _groups_xml(list(self._addresses)).encode()

    def answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Answer one request; botocore calls it in place of the network."""
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        asked = parse_qs(body)
        action = asked["Action"][0]
        self.calls[action] += 1
        text = self._groups if action == "DescribeAutoScalingGroups" else self._instances(asked)
        return AWSResponse(request.url, 200, HTTPHeaders.from_pairs([("content-type", "text/xml")]), _Raw(text))

    def _instances(self, asked: dict[str, list[str]]) -> bytes:
        ids = [values[0] for key, values in asked.items() if key.startswith("Filter.1.Value.")]
        items = "".join(
            f"<item><instanceId>{key}</instanceId><privateIpAddress>{self._addresses[key]}</privateIpAddress></item>"
            for key in ids
        )
        reservations = f"<reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet>"
        return f"<DescribeInstancesResponse>{reservations}</DescribeInstancesResponse>".encode()


class _Raw(io.BytesIO):
    """The part of a network answer that botocore reads."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def _groups_xml(ids: Sequence[str]) -> str:
    groups = "".join(
        _group_xml(f"pool-{start}", ids[start : start + WORKERS_PER_GROUP])
        for start in range(0, len(ids), WORKERS_PER_GROUP)
    )
    result = (
        f"<DescribeAutoScalingGroupsResult><AutoScalingGroups>{groups}</AutoScalingGroups>"
        "</DescribeAutoScalingGroupsResult>"
    )
    return f"<DescribeAutoScalingGroupsResponse>{result}</DescribeAutoScalingGroupsResponse>"


def _group_xml(name: str, ids: Sequence[str]) -> str:
    tags = {TAG_DEPLOYMENT: DEPLOYMENT, TAG_POOL: name, TAG_MODEL: "org/model", TAG_ENGINE_PORT: "30000"}
    tag_items = "".join(f"<member><Key>{key}</Key><Value>{value}</Value></member>" for key, value in tags.items())
    instances = "".join(
        f"<member><InstanceId>{key}</InstanceId><LifecycleState>InService</LifecycleState>"
        "<HealthStatus>Healthy</HealthStatus><AvailabilityZone>eu-central-1a</AvailabilityZone>"
        "<InstanceType>g6e.xlarge</InstanceType><ProtectedFromScaleIn>false</ProtectedFromScaleIn></member>"
        for key in ids
    )
    return (
        f"<member><AutoScalingGroupName>{name}</AutoScalingGroupName><Instances>{instances}</Instances>"
        f"<Tags>{tag_items}</Tags></member>"
    )


def _discovery(cloud: Cloud, manifest: Path) -> Discovery:
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="eu-central-1")  # noqa: S106
    autoscaling, ec2 = session.client("autoscaling", config=POLLING), session.client("ec2", config=POLLING)
    for client in (autoscaling, ec2):
        # The stub says that handlers return nothing; an answer to "before-send" is taken in place of the network's.
        client.meta.events.register("before-send", cloud.answer)  # type: ignore[arg-type]
    log = Log("benchmark", io.StringIO())
    return Discovery(Fleet(DEPLOYMENT, autoscaling, ec2, log), manifest, INTERVAL_SECONDS, log)


def _timed(discovery: Discovery) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    discovery.step()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(workers: int, cycles: int) -> Cost:
    """Run the first and `cycles` steady cycles.

    Raises:
        RuntimeError: discovery did not find every worker, so the figures would be of something else.
    """
    cloud = Cloud(workers)
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "workers.json"
        discovery = _discovery(cloud, manifest)
        first, _ = _timed(discovery)
        first_calls = cloud.calls.total()
        steady = [_timed(discovery) for _ in range(cycles)]
        found = read_manifest(manifest)
    if found is None or len(found.workers) != workers or discovery.failing:
        raise RuntimeError(f"discovery found {len(found.workers) if found else 0} of {workers} workers")
    return Cost(
        workers=workers,
        first_seconds=first,
        first_calls=first_calls,
        steady_seconds=statistics.median(wall for wall, _ in steady),
        steady_cpu_seconds=statistics.median(cpu for _, cpu in steady),
        calls_per_second=(cloud.calls.total() - first_calls) / cycles / INTERVAL_SECONDS,
    )


def table(costs: Sequence[Cost]) -> str:
    """Return the figures as a Markdown table."""
    head = "| workers | first cycle | its API calls | steady cycle | its CPU | CPU share | API calls/s |"
    rows = [
        f"| {cost.workers:,} | {cost.first_seconds * 1e3:.1f} ms | {cost.first_calls} "
        f"| {cost.steady_seconds * 1e3:.1f} ms | {cost.steady_cpu_seconds * 1e3:.1f} ms "
        f"| {cost.steady_cpu_seconds / INTERVAL_SECONDS:.2%} | {cost.calls_per_second:.2f} |"
        for cost in costs
    ]
    return "\n".join([head, "|" + "---|" * 7, *rows])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--cycles", type=int, default=DEFAULT_CYCLES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    costs = [measure(workers, options.cycles) for workers in options.workers]
    print(json.dumps([asdict(cost) for cost in costs], indent=1) if options.json else table(costs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
