"""When a pool grows and shrinks: fast out on prompts, load and full KV memory, slowly and guardedly in.

docs/scaling.md tells it in one piece, with the reason of every number.
"""

from __future__ import annotations

from dataclasses import dataclass

from cdktf_cdktf_provider_aws.autoscaling_policy import (
    AutoscalingPolicy,
    AutoscalingPolicyStepAdjustment,
    AutoscalingPolicyTargetTrackingConfiguration,
    AutoscalingPolicyTargetTrackingConfigurationCustomizedMetricSpecification,
    AutoscalingPolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricDimension,
)
from constructs import Construct

from stacks.alarm import MINUTE, Alarm, Condition, PoolMetrics, holds
from user_data import metrics

# As many as the alarm of a target tracking policy has: half a minute, longer than one batch of long prompts.
KV_POINTS = 3
WAKE_POINTS = 1
PERCENT = 100


@dataclass(frozen=True)
class ScalingPlan:
    """The metrics of the group that scales, and the numbers."""

    metrics: PoolMetrics
    min_size: int
    target_load: float
    target_prompt_load: float  # percent; 0: not looked at
    kv_usage_high_percent: int  # 0: not looked at
    scale_in_load_percent: int
    scale_in_seconds: int
    warmup_seconds: int

    @property
    def may_leave(self) -> str:
        """1 where the other workers would carry all: less than the share of the target, and KV memory below its limit.

        Written without a division, which would have no value for one worker. `most` and `least` are the highest and the
        lowest number of ready workers of a minute: a change of it starts the quiet time anew, as does a worker that
        still drains, so that one leaves at a time. Without data the expression has no value.
        """
        share = self.target_load * self.scale_in_load_percent / PERCENT
        prompts = self.target_prompt_load * self.scale_in_load_percent / PERCENT
        steady = "most == least AND FILL(leaving, 0) < 1"
        carry = f"least > {max(self.min_size, 1)} AND in_flight < {share:g} * (least - 1)"
        if self.target_prompt_load:  # a pool without streams has none
            carry += f" AND FILL(prompts, 0) * least < {prompts:g} * (least - 1)"
        if self.kv_usage_high_percent:
            carry += f" AND kv * least < {self.kv_usage_high_percent} * (least - 1)"
        enough = carry if self.min_size else f"(({carry}) OR (least == 1 AND in_flight < 1 AND rate <= 0))"
        return f"IF({steady} AND {enough}, 1, 0)"


class PoolScaling(Construct):
    """Out: target tracking on two 10-second loads, and a step when KV memory is full. In: one worker at a time."""

    def __init__(self, scope: Construct, construct_id: str, plan: ScalingPlan) -> None:
        super().__init__(scope, construct_id)
        self._plan = plan
        self._group = plan.metrics.group
        self._out_on("out", metrics.LOAD, plan.target_load)
        if plan.target_prompt_load:
            self._out_on("out-prompts", metrics.PROMPT_LOAD, plan.target_prompt_load)
        if plan.kv_usage_high_percent:
            self._out_on_kv_usage(self._one_more("kv", "out-kv"))
        self._in(self._one_less())
        if plan.min_size == 0:
            self._wake_up(self._one_more("wake", "wake-up"))

    def _out_on(self, name: str, tracked: metrics.Metric, target: float) -> None:
        load = self._plan.metrics.series("load", tracked)
        metric = AutoscalingPolicyTargetTrackingConfigurationCustomizedMetricSpecification(
            namespace=load.namespace,
            metric_name=load.name,
            metric_dimension=[
                AutoscalingPolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricDimension(
                    name=name, value=value
                )
                for name, value in load.dimensions.items()
            ],
            statistic=load.statistic,
            period=tracked.period_seconds,
        )
        AutoscalingPolicy(
            self,
            name,
            name=f"{self._group}-{name}",
            autoscaling_group_name=self._group,
            policy_type="TargetTrackingScaling",
            estimated_instance_warmup=self._plan.warmup_seconds,
            target_tracking_configuration=AutoscalingPolicyTargetTrackingConfiguration(
                customized_metric_specification=metric, target_value=target, disable_scale_in=True
            ),
        )

    def _one_more(self, construct_id: str, name: str) -> AutoscalingPolicy:
        """One worker; while it warms up it counts as capacity, so an alarm that stays on adds no second one."""
        return AutoscalingPolicy(
            self,
            construct_id,
            name=f"{self._group}-{name}",
            autoscaling_group_name=self._group,
            policy_type="StepScaling",
            adjustment_type="ChangeInCapacity",
            estimated_instance_warmup=self._plan.warmup_seconds,
            step_adjustment=[AutoscalingPolicyStepAdjustment(scaling_adjustment=1, metric_interval_lower_bound="0")],
        )

    def _one_less(self) -> AutoscalingPolicy:
        return AutoscalingPolicy(
            self,
            "in",
            name=f"{self._group}-in",
            autoscaling_group_name=self._group,
            policy_type="StepScaling",
            adjustment_type="ChangeInCapacity",
            step_adjustment=[AutoscalingPolicyStepAdjustment(scaling_adjustment=-1, metric_interval_lower_bound="0")],
        )

    def _out_on_kv_usage(self, policy: AutoscalingPolicy) -> None:
        usage = self._plan.metrics.series("kv", metrics.KV_USAGE)
        period, limit = metrics.KV_USAGE.period_seconds, self._plan.kv_usage_high_percent
        Alarm(
            name=f"{self._group}-kv-full",
            description="The engines' KV memory is nearly full: long prompts, which a count of requests does not show.",
            condition=Condition(limit, period, KV_POINTS, KV_POINTS, "GreaterThanOrEqualToThreshold"),
            actions=(policy.arn,),
        ).on_metric(self, "kv-full", usage)

    def _in(self, policy: AutoscalingPolicy) -> None:
        plan, at = self._plan, self._plan.metrics
        series = [
            at.series("in_flight", metrics.IN_FLIGHT, "Maximum"),
            at.series("least", metrics.READY_WORKERS, "Minimum"),
            at.series("most", metrics.READY_WORKERS, "Maximum"),
            at.group_series("leaving", "GroupTerminatingInstances"),
        ]
        if plan.kv_usage_high_percent:
            series.append(at.series("kv", metrics.KV_USAGE))
        if plan.target_prompt_load:
            # The mean, of workers and of the minute: the highest would be that of the worker with the most by chance.
            series.append(at.series("prompts", metrics.PROMPT_LOAD))
        if plan.min_size == 0:
            series.append(at.series("rate", metrics.REQUEST_RATE, "Maximum"))
        Alarm(
            name=f"{self._group}-idle",
            description="The other workers could carry the load of one that leaves, for the whole quiet time.",
            condition=holds(max(1, plan.scale_in_seconds // MINUTE)),
            actions=(policy.arn,),
        ).on_expression(self, "idle", plan.may_leave, *series)

    def _wake_up(self, policy: AutoscalingPolicy) -> None:
        """The load of an empty pool is 0, whoever asks: refused requests are the only sign that somebody does."""
        at = self._plan.metrics
        Alarm(
            name=f"{self._group}-wanted",
            description="Requests for a pool without workers were refused: one worker is started.",
            condition=holds(WAKE_POINTS),
            actions=(policy.arn,),
        ).on_expression(
            self,
            "wanted",
            "IF(refused > 0 AND ready < 1 AND FILL(desired, 0) < 1, 1, 0)",
            at.series("refused", metrics.REFUSED),
            at.series("ready", metrics.READY_WORKERS, "Maximum"),
            at.group_series("desired", "GroupDesiredCapacity"),
        )
