"""When a pool grows and shrinks: fast out on load per ready worker, slowly and guardedly in."""

from __future__ import annotations

from dataclasses import dataclass

from cdktf_cdktf_provider_aws.autoscaling_policy import (
    AutoscalingPolicy,
    AutoscalingPolicyStepAdjustment,
    AutoscalingPolicyTargetTrackingConfiguration,
    AutoscalingPolicyTargetTrackingConfigurationCustomizedMetricSpecification,
    AutoscalingPolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricDimension,
)
from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from constructs import Construct

from user_data.node_config import DIMENSION_DEPLOYMENT, DIMENSION_POOL, METRIC_INTERVAL_SECONDS, METRIC_LOAD

# One worker of N may leave when the rest can carry its share: load x N / (N - 1) ≤ target. N = 2 is the hardest case.
IDLE_SHARE = 0.5
MINUTE = 60


@dataclass(frozen=True)
class ScalingPlan:
    """The group that scales, the metric that the router host publishes for it, and the numbers."""

    group_name: str
    namespace: str
    deployment: str
    pool: str
    target_load: float
    scale_in_seconds: int
    warmup_seconds: int

    @property
    def dimensions(self) -> dict[str, str]:
        """The dimensions under which the load is published."""
        return {DIMENSION_DEPLOYMENT: self.deployment, DIMENSION_POOL: self.pool}


class PoolScaling(Construct):
    """Out: target tracking on the 10-second metric. In: one worker at a time, after a long quiet time."""

    def __init__(self, scope: Construct, construct_id: str, plan: ScalingPlan) -> None:
        super().__init__(scope, construct_id)
        self._plan = plan
        self._out()
        self._alarm(self._in())

    def _out(self) -> AutoscalingPolicy:
        plan = self._plan
        metric = AutoscalingPolicyTargetTrackingConfigurationCustomizedMetricSpecification(
            namespace=plan.namespace,
            metric_name=METRIC_LOAD,
            metric_dimension=[
                AutoscalingPolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricDimension(
                    name=name, value=value
                )
                for name, value in plan.dimensions.items()
            ],
            statistic="Average",
            period=METRIC_INTERVAL_SECONDS,
        )
        return AutoscalingPolicy(
            self,
            "out",
            name=f"{plan.group_name}-out",
            autoscaling_group_name=plan.group_name,
            policy_type="TargetTrackingScaling",
            estimated_instance_warmup=plan.warmup_seconds,
            target_tracking_configuration=AutoscalingPolicyTargetTrackingConfiguration(
                customized_metric_specification=metric, target_value=plan.target_load, disable_scale_in=True
            ),
        )

    def _in(self) -> AutoscalingPolicy:
        plan = self._plan
        one_less = AutoscalingPolicyStepAdjustment(scaling_adjustment=-1, metric_interval_upper_bound="0")
        return AutoscalingPolicy(
            self,
            "in",
            name=f"{plan.group_name}-in",
            autoscaling_group_name=plan.group_name,
            policy_type="StepScaling",
            adjustment_type="ChangeInCapacity",
            metric_aggregation_type="Maximum",
            step_adjustment=[one_less],
        )

    def _alarm(self, policy: AutoscalingPolicy) -> None:
        """Low for the whole quiet time: the highest load of every minute. Without data nothing is taken away."""
        plan = self._plan
        CloudwatchMetricAlarm(
            self,
            "idle",
            alarm_name=f"{plan.group_name}-idle",
            alarm_description="The remaining workers could carry the load of one that leaves.",
            namespace=plan.namespace,
            metric_name=METRIC_LOAD,
            dimensions=plan.dimensions,
            statistic="Maximum",
            comparison_operator="LessThanThreshold",
            threshold=plan.target_load * IDLE_SHARE,
            period=MINUTE,
            evaluation_periods=max(1, plan.scale_in_seconds // MINUTE),
            treat_missing_data="notBreaching",
            alarm_actions=[policy.arn],
        )
