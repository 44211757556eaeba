"""An emulated AWS in this process with a group, a clock that a test moves, and metrics that it publishes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from moto.sns.models import sns_backends

from rehearsal.emulated_aws.scaling_groups import WORLD, tick
from rehearsal.places import ACCOUNT_ID

REGION = "us-east-2"
# Not the rehearsal's own address: one may be running on this machine.
HOST, PORT = "127.64.255.252", 4598
NAMESPACE = "Fleet"
DIMENSIONS = [{"Name": "Deployment", "Value": "d"}, {"Name": "Pool", "Value": "p"}]
PERIOD = 10


def client(service: str) -> Any:
    session = boto3.Session(region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    config = Config(retries={"max_attempts": 1}, proxies={})
    return session.client(service, endpoint_url=f"http://{HOST}:{PORT}", config=config)  # type: ignore[call-overload]


def now() -> datetime:
    return WORLD.clock.now()


def to(moment: datetime) -> None:
    """Set the clock."""
    WORLD.clock.ahead = moment - datetime.now(UTC)


def boundary(seconds: int = 60) -> datetime:
    """The next whole minute of the emulated clock, or another multiple."""
    at = int(now().timestamp() // seconds + 1) * seconds
    return datetime.fromtimestamp(at, UTC)


@dataclass
class Site:
    """A group, and the metrics that stand for its load."""

    name: str
    aws: Any
    watch: Any

    def put(self, metric: str, value: float, **more: Any) -> None:
        datum = {"MetricName": metric, "Dimensions": DIMENSIONS, "Value": value, "StorageResolution": 1, **more}
        self.watch.put_metric_data(Namespace=NAMESPACE, MetricData=[{"Timestamp": now(), **datum}])

    def run(self, seconds: int, **metrics: float) -> None:
        """Let time pass, with a data point in the middle of every period, and a look at every period's end."""
        for _ in range(seconds // PERIOD):
            to(boundary(PERIOD) - timedelta(seconds=PERIOD / 2))
            for metric, value in metrics.items():
                self.put(metric, value)
            to(boundary(PERIOD) + timedelta(milliseconds=100))
            tick(REGION)

    def group(self) -> dict[str, Any]:
        (found,) = self.aws.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"]
        return dict(found)

    @property
    def desired(self) -> int:
        return int(self.group()["DesiredCapacity"])

    def causes(self) -> str:
        found = self.aws.describe_scaling_activities(AutoScalingGroupName=self.name)["Activities"]
        return " ".join(str(activity["Cause"]) for activity in found)

    def alarm(self, name: str) -> dict[str, Any]:
        (found,) = self.watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return dict(found)

    def track(self, name: str = "track", target: float = 8.0, **more: Any) -> dict[str, Any]:
        metric = {"MetricName": "Load", "Namespace": NAMESPACE, "Dimensions": DIMENSIONS, "Statistic": "Average"}
        configuration = {"CustomizedMetricSpecification": {**metric, "Period": PERIOD}, "TargetValue": target, **more}
        answer: dict[str, Any] = self.aws.put_scaling_policy(
            AutoScalingGroupName=self.name,
            PolicyName=f"{self.name}-{name}",
            PolicyType="TargetTrackingScaling",
            EstimatedInstanceWarmup=60,
            TargetTrackingConfiguration=configuration,
        )
        return answer

    def step(self, name: str, *steps: dict[str, Any], **more: Any) -> str:
        answer = self.aws.put_scaling_policy(
            AutoScalingGroupName=self.name,
            PolicyName=f"{self.name}-{name}",
            PolicyType="StepScaling",
            AdjustmentType="ChangeInCapacity",
            StepAdjustments=list(steps),
            **{"EstimatedInstanceWarmup": 60, **more},
        )
        return str(answer["PolicyARN"])

    def put_alarm(self, name: str, **given: Any) -> str:
        full = f"{self.name}-{name}"
        metric = {"Namespace": NAMESPACE, "MetricName": "Load", "Dimensions": DIMENSIONS, "Statistic": "Average"}
        rule = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 8, "Period": PERIOD, "EvaluationPeriods": 2}
        if "Metrics" in given:
            metric, rule = {}, {key: value for key, value in rule.items() if key != "Period"}
        self.watch.put_metric_alarm(AlarmName=full, **{**metric, **rule, **given})
        return full


def query(name: str, metric: str, **more: Any) -> dict[str, Any]:
    """A statistic of a metric that an expression uses."""
    stat = {"Metric": {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": DIMENSIONS}, "Stat": "Average"}
    return {"Id": name, "MetricStat": {**stat, "Period": PERIOD, **more}, "ReturnData": False}


def messages(topic: str) -> list[dict[str, Any]]:
    """What was published to a topic."""
    sent = sns_backends[ACCOUNT_ID][REGION].topics[topic].sent_notifications
    return [json.loads(str(one[1])) for one in sent]
