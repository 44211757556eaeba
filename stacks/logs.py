"""Log groups, the topic that alarms go to, the alarm on their volume, a dashboard and saved queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.cloudwatch_query_definition import CloudwatchQueryDefinition
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription

from settings.naming import STACK_LOGS
from stacks.alarm import Alarm, Condition, incoming_bytes
from stacks.base import Deployment, FleetStack
from stacks.dashboard import Dashboard, dashboard_body
from stacks.saved_queries import saved_queries

if TYPE_CHECKING:
    from constructs import Construct

DAY = 24 * 60 * 60
GIB = 1024**3


@dataclass(frozen=True)
class LogGroup:
    """A log group to be: the stack whose hosts write to it, and its name."""

    stack: str
    name: str


@dataclass(frozen=True)
class LogsInputs:
    """Inputs of the logs stack."""

    deployment: Deployment
    retention_days: int
    alarm_email: str | None
    gib_per_day: float
    groups: tuple[LogGroup, ...]
    dashboard: Dashboard


@dataclass(frozen=True)
class LogsOutputs:
    """Outputs of the logs stack: log group ARNs by stack, and the topic for alarms."""

    group_arns: tuple[tuple[str, str], ...]
    alarm_topic_arn: str

    def group_arn(self, stack: str) -> str:
        """ARN of the log group that a stack's hosts write to."""
        return dict(self.group_arns)[stack]


class LogsStack(FleetStack):
    """Everything that outlives the hosts it tells about."""

    def __init__(self, scope: Construct, inputs: LogsInputs) -> None:
        super().__init__(scope, STACK_LOGS, inputs.deployment)
        self._inputs = inputs
        arns = tuple((group.stack, self._group(group).arn) for group in inputs.groups)
        topic = self._alarm_topic()
        for group in inputs.groups:
            self._volume_alarm(group, topic)
        self._dashboard()
        self._saved_queries()
        self.outputs = LogsOutputs(group_arns=arns, alarm_topic_arn=topic.arn)
        for group in inputs.groups:
            self.output(f"log_group_{group.stack.replace('-', '_')}", group.name, f"Log group of {group.stack}")

    def _group(self, group: LogGroup) -> CloudwatchLogGroup:
        return CloudwatchLogGroup(
            self, f"log-group-{group.stack}", name=group.name, retention_in_days=self._inputs.retention_days
        )

    def _alarm_topic(self) -> SnsTopic:
        # Not encrypted with alias/aws/sns: CloudWatch has no permission on that key, so alarms would be lost silently
        # (CloudWatch user guide, "Amazon SNS encryption" under alarm troubleshooting). Alarm texts hold no secrets.
        topic = SnsTopic(self, "alarms", name=self.resource_name("alarms"))
        if self._inputs.alarm_email:
            SnsTopicSubscription(
                self, "alarm-email", topic_arn=topic.arn, protocol="email", endpoint=self._inputs.alarm_email
            )
        return topic

    def _volume_alarm(self, group: LogGroup, topic: SnsTopic) -> None:
        """One per group: the mail then says whose log it is."""
        limit = self._inputs.gib_per_day
        Alarm(
            name=self.resource_name(group.stack, "log-volume"),
            description=f"{group.name} received more than {limit:g} GiB in a day.",
            condition=Condition(limit * GIB, DAY, 1, 1),
            actions=(topic.arn,),
        ).on_metric(self, f"log-volume-{group.stack}", incoming_bytes(group.name))

    def _dashboard(self) -> None:
        body = dashboard_body(self._inputs.dashboard)
        CloudwatchDashboard(self, "dashboard", dashboard_name=self.deployment.name, dashboard_body=body)

    def _saved_queries(self) -> None:
        """In a folder of the deployment's name; they refer to the groups, so that AWS has them first."""
        shown = self._inputs.dashboard
        for query in saved_queries(shown.router_log, tuple(pool.log_group for pool in shown.pools)):
            CloudwatchQueryDefinition(
                self,
                f"query-{query.name}",
                name=f"{self.deployment.name}/{query.name}",
                query_string=query.text,
                log_group_names=list(query.log_groups),
            )
