"""The one edge to the AWS API: typed answers, every page, time limits, retries by policy, and the error code kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from user_data.node_config import TAG_DEPLOYMENT, TAG_ENGINE_PORT, TAG_MODEL, TAG_POOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef, FilterTypeDef, InstanceTypeDef
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

    from user_data.agent.log import Log

GROUPS_PER_PAGE = 100  # Auto Scaling API, DescribeAutoScalingGroups: the most there can be
IDS_PER_CALL = 200  # EC2 API, DescribeInstances: the most values a filter takes

# Discovery asks again two seconds later anyway, so it tries only twice in one cycle.
POLLING = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
# Within one interval of the load signal, and within what the unit leaves a stopping program.
PUBLISHING = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
# A call in a worker's life is repeated by its caller until it is done; one try must not hold up a drain for long.
LIFE_CYCLE = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
# At boot: credentials of the instance profile may take some seconds to arrive.
STARTING = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 6})

# What the AWS SDKs' own retry policy counts as throttling (SDK reference guide, "Retry behavior").
THROTTLING_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
    }
)

# What an HTTP header, a YAML value and a command line all carry as it is.
KEY_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~+/=-]{7,}")


HookResult = Literal["CONTINUE", "ABANDON"]


class AwsError(RuntimeError):
    """An AWS call failed. `code` is AWS's error code, or the name of the network error."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        """Keep the code: callers decide by it, and operators search for it."""
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code

    @property
    def throttled(self) -> bool:
        """AWS asks for fewer calls."""
        return self.code in THROTTLING_CODES

    @property
    def invalid(self) -> bool:
        """AWS says that the call does not fit the state of things: no such hook action, no such instance."""
        return self.code == "ValidationError"


class SecretFormatError(ValueError):
    """A secret is there but cannot be used."""


@dataclass(frozen=True)
class Worker:
    """One instance of a pool's Auto Scaling group."""

    instance_id: str
    pool: str
    model: str
    port: int
    lifecycle_state: str
    healthy: bool
    address: str | None = None

    @property
    def in_service(self) -> bool:
        """AWS counts it as serving. Auto Scaling is about to replace an unhealthy one, whatever its state says."""
        return self.lifecycle_state == "InService" and self.healthy

    @property
    def url(self) -> str | None:
        """Where its engine answers; None while EC2 has not told the address."""
        return f"http://{self.address}:{self.port}" if self.address else None


@dataclass(frozen=True)
class FleetView:
    """What AWS said at one moment: the pools whose groups exist, sorted, and every instance of those groups."""

    pools: tuple[str, ...] = ()
    workers: tuple[Worker, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    """The name that clients send as `model`, by pool; of pools without instances too."""

    @property
    def in_service(self) -> tuple[Worker, ...]:
        """The workers that requests may go to."""
        return tuple(worker for worker in self.workers if worker.in_service and worker.url)


class Fleet:
    """The pools and workers of a deployment, found by tag.

    In steady state `view` is one API call: an instance's private address never changes, so it is asked for once.
    """

    def __init__(self, deployment: str, autoscaling: AutoScalingClient, ec2: EC2Client, log: Log) -> None:
        """Use `connect` outside tests."""
        self._deployment = deployment
        self._autoscaling = autoscaling
        self._ec2 = ec2
        self._log = log
        self._addresses: dict[str, str] = {}
        self._refused: frozenset[str] = frozenset()

    @classmethod
    def connect(cls, deployment: str, region: str, log: Log) -> Fleet:
        """Return the fleet of `deployment` with clients for polling."""
        autoscaling = boto3.client("autoscaling", region_name=region, config=POLLING)
        return cls(deployment, autoscaling, boto3.client("ec2", region_name=region, config=POLLING), log)

    def view(self) -> FleetView:
        """Return the deployment's pools and every instance of their groups, with addresses for those in service.

        Raises:
            AwsError: AWS refused or did not answer.
        """
        with _edge("autoscaling:DescribeAutoScalingGroups"):
            groups = [(group, tags) for group in self._groups() if (tags := self._tags(group))]
        listed = tuple(_worker(instance, tags) for group, tags in groups for instance in group.get("Instances", []))
        with _edge("ec2:DescribeInstances"):
            self._learn_addresses(listed)
        workers = tuple(replace(worker, address=self._addresses.get(worker.instance_id)) for worker in listed)
        models = {tags[TAG_POOL]: tags[TAG_MODEL] for _, tags in groups}
        return FleetView(tuple(sorted(models)), workers, models)

    def _groups(self) -> Iterator[AutoScalingGroupTypeDef]:
        paginator = self._autoscaling.get_paginator("describe_auto_scaling_groups")
        filters: list[FilterTypeDef] = [{"Name": f"tag:{TAG_DEPLOYMENT}", "Values": [self._deployment]}]
        for page in paginator.paginate(Filters=filters, PaginationConfig={"PageSize": GROUPS_PER_PAGE}):
            yield from page["AutoScalingGroups"]

    def _tags(self, group: AutoScalingGroupTypeDef) -> dict[str, str] | None:
        """Return the group's tags; a group without ours is told once and left out (None), the rest goes on."""
        name = group["AutoScalingGroupName"]
        tags = {tag["Key"]: tag.get("Value", "") for tag in group.get("Tags", [])}
        missing = [key for key in (TAG_POOL, TAG_MODEL, TAG_ENGINE_PORT) if not tags.get(key)]
        if not missing and tags[TAG_ENGINE_PORT].isdecimal():
            return tags
        if name not in self._refused:
            self._log.warning("group_refused", group=name, missing_tags=missing or [TAG_ENGINE_PORT])
        self._refused |= {name}
        return None

    def _learn_addresses(self, listed: tuple[Worker, ...]) -> None:
        present = {worker.instance_id for worker in listed}
        self._addresses = {key: address for key, address in self._addresses.items() if key in present}
        unknown = [worker.instance_id for worker in listed if worker.in_service]
        for ids in _batched((key for key in unknown if key not in self._addresses), IDS_PER_CALL):
            self._addresses.update(self._ask_addresses(ids))

    def _ask_addresses(self, ids: list[str]) -> Iterator[tuple[str, str]]:
        # A filter, not InstanceIds: one id that EC2 does not know yet would fail the call for all.
        pages = self._ec2.get_paginator("describe_instances").paginate(Filters=[{"Name": "instance-id", "Values": ids}])
        for page in pages:
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    if "PrivateIpAddress" in instance:
                        yield instance["InstanceId"], instance["PrivateIpAddress"]


class GroupMember:
    """This instance, as its Auto Scaling group knows it. Every method raises AwsError when AWS refuses or is silent."""

    def __init__(self, group: str, instance_id: str, client: AutoScalingClient) -> None:
        """Use `connect` outside tests."""
        self._group = group
        self._instance_id = instance_id
        self._client = client

    @classmethod
    def connect(cls, group: str, instance_id: str, region: str) -> GroupMember:
        """Return the member with a client whose tries are short."""
        return cls(group, instance_id, boto3.client("autoscaling", region_name=region, config=LIFE_CYCLE))

    def complete_lifecycle_action(self, hook: str, result: HookResult) -> None:
        """Answer a hook: CONTINUE, or at launch ABANDON, upon which the group replaces the instance.

        AWS answers ValidationError when the hook does not hold this instance (any more, or yet).
        """
        with _edge("autoscaling:CompleteLifecycleAction"):
            self._client.complete_lifecycle_action(
                AutoScalingGroupName=self._group,
                LifecycleHookName=hook,
                InstanceId=self._instance_id,
                LifecycleActionResult=result,
            )

    def record_heartbeat(self, hook: str) -> None:
        """Let the hook's time begin anew."""
        with _edge("autoscaling:RecordLifecycleActionHeartbeat"):
            self._client.record_lifecycle_action_heartbeat(
                AutoScalingGroupName=self._group, LifecycleHookName=hook, InstanceId=self._instance_id
            )

    def set_unhealthy(self) -> None:
        """Have the group replace this instance, also within its health check grace period."""
        with _edge("autoscaling:SetInstanceHealth"):
            self._client.set_instance_health(
                InstanceId=self._instance_id, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
            )

    def terminate_in_group(self) -> None:
        """Have the group take this instance out (through its terminating hook) and launch another in its place."""
        with _edge("autoscaling:TerminateInstanceInAutoScalingGroup"):
            self._client.terminate_instance_in_auto_scaling_group(
                InstanceId=self._instance_id, ShouldDecrementDesiredCapacity=False
            )


class Metrics:
    """One CloudWatch namespace to write to."""

    def __init__(self, namespace: str, client: CloudWatchClient) -> None:
        """Use `connect` outside tests."""
        self._namespace = namespace
        self._client = client

    @classmethod
    def connect(cls, namespace: str, region: str) -> Metrics:
        """Return the namespace with a client for publishing."""
        return cls(namespace, boto3.client("cloudwatch", region_name=region, config=PUBLISHING))

    def put(self, data: list[MetricDatumTypeDef]) -> None:
        """Store the values, at most 1,000 (one PutMetricData call).

        Raises:
            AwsError: AWS refused or did not answer.
        """
        with _edge("cloudwatch:PutMetricData"):
            self._client.put_metric_data(Namespace=self._namespace, MetricData=data)


def get_secret_parameter(name: str, region: str, client: SSMClient | None = None) -> str:
    """Return the API key in the SSM SecureString parameter `name`.

    Raises:
        AwsError: not there, not readable, or no answer.
        SecretFormatError: its value cannot be an API key; the value is not in the sentence.
    """
    with _edge("ssm:GetParameter"):
        ssm = client or boto3.client("ssm", region_name=region, config=STARTING)
        value = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"].get("Value", "")
    if not KEY_PATTERN.fullmatch(value):
        raise SecretFormatError(
            f"{name}: the value is not usable as an API key; use at least 8 letters, digits or ._~+/=-, "
            "beginning with a letter or digit"
        )
    return value


def get_secret_text(secret: str, region: str) -> str:
    """Return the text of a Secrets Manager secret (certificate or key as PEM).

    Raises:
        AwsError: not there, not readable, or no answer.
    """
    with _edge("secretsmanager:GetSecretValue"):
        client = boto3.client("secretsmanager", region_name=region, config=STARTING)
        return str(client.get_secret_value(SecretId=secret)["SecretString"])


def _worker(instance: InstanceTypeDef, tags: dict[str, str]) -> Worker:
    return Worker(
        instance_id=instance["InstanceId"],
        pool=tags[TAG_POOL],
        model=tags[TAG_MODEL],
        port=int(tags[TAG_ENGINE_PORT]),
        lifecycle_state=instance["LifecycleState"],
        healthy=instance["HealthStatus"].casefold() == "healthy",
    )


def _batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


@contextmanager
def _edge(operation: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        raise AwsError(operation, details.get("Code", "Unknown"), details.get("Message", "")) from error
    except BotoCoreError as error:
        raise AwsError(operation, type(error).__name__, str(error)) from error
