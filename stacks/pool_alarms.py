"""Alarms that tell somebody about a pool, and what is counted in its log for them. They come and go with the pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf_cdktf_provider_aws.cloudwatch_log_metric_filter import (
    CloudwatchLogMetricFilter,
    CloudwatchLogMetricFilterMetricTransformation,
)
from constructs import Construct

from stacks.alarm import MINUTE, Alarm, Condition, holds
from user_data import metrics

if TYPE_CHECKING:
    from settings.alarms import AlarmSettings
    from stacks.alarm import PoolMetrics

# What says that a host gives up before it could serve: the agent's event, and the last words of boot.sh.
NOT_READY = '{ $.event = "worker_not_ready" }'
BOOT_LEFT = '"powering off so that the host is replaced"'
# What smg 1.13.0 logs (measured) for a request whose model has no worker; the answer to the client is 404.
REFUSED_LOG_MESSAGE = "No worker serves model"
EMPTY_MINUTES = 3
QUARTER_HOUR = 15
MOST_OF_QUARTER_HOUR = 12
FAILURE_PERIOD = 5 * MINUTE


@dataclass(frozen=True)
class PoolWatch:
    """What is watched of a pool, and who is told."""

    metrics: PoolMetrics
    thresholds: AlarmSettings
    topic_arn: str
    workers_log: str
    router_log: str
    model: str
    min_size: int


class PoolAlarms(Construct):
    """No ready worker, errors, slow first tokens, failed boots."""

    def __init__(self, scope: Construct, construct_id: str, watch: PoolWatch) -> None:
        super().__init__(scope, construct_id)
        self._watch = watch
        self._count("not-ready", metrics.BOOT_FAILURES, watch.workers_log, NOT_READY)
        self._count("boot-left", metrics.BOOT_FAILURES, watch.workers_log, BOOT_LEFT)
        self._boot_failures()
        self._errors()
        self._slow()
        if watch.min_size:
            self._no_ready_worker()
        else:
            self._count("refused", metrics.REFUSED, watch.router_log, _refused(watch.model))

    def _count(self, construct_id: str, metric: metrics.Metric, log: str, pattern: str) -> None:
        """Count lines; a minute with none of them but with others counts 0, so that the graph is not empty."""
        series = self._watch.metrics.series("counted", metric)
        CloudwatchLogMetricFilter(
            self,
            construct_id,
            name=f"{self._watch.metrics.group}-{construct_id}",
            log_group_name=log,
            pattern=pattern,
            metric_transformation=CloudwatchLogMetricFilterMetricTransformation(
                namespace=series.namespace, name=series.name, value="1", default_value="0", unit=metric.unit
            ),
        )

    def _alarm(self, name: str, description: str, condition: Condition) -> Alarm:
        watch = self._watch
        return Alarm(f"{watch.metrics.group}-{name}", description, condition, (watch.topic_arn,))

    def _boot_failures(self) -> None:
        text = "A worker gave up before it could serve; its log says why, and so does `fleet why`."
        alarm = self._alarm("boot-failures", text, Condition(0, FAILURE_PERIOD, 1, 1))
        alarm.on_metric(self, "boot-failures", self._watch.metrics.series("failures", metrics.BOOT_FAILURES))

    def _errors(self) -> None:
        limit = self._watch.thresholds.error_rate_percent
        # Three minutes of five: one failed request in a quiet minute is a high share, and no reason to wake anybody.
        alarm = self._alarm(
            "errors", f"More than {limit:g} % of the answers are errors.", Condition(limit, MINUTE, 3, 5)
        )
        alarm.on_metric(self, "errors", self._watch.metrics.series("errors", metrics.ERROR_RATE))

    def _slow(self) -> None:
        """Longer than a new worker takes to boot: before that, scaling is at work and nobody can do better."""
        limit = self._watch.thresholds.time_to_first_token_seconds
        condition = Condition(limit, MINUTE, MOST_OF_QUARTER_HOUR, QUARTER_HOUR)
        alarm = self._alarm("slow", f"One request in ten waits more than {limit:g} s for its first token.", condition)
        alarm.on_metric(self, "slow", self._watch.metrics.series("ttft", metrics.TIME_TO_FIRST_TOKEN))

    def _no_ready_worker(self) -> None:
        """While the first worker of a new pool boots there is none either: only where one is missed is it a fault.

        Missed: requests come in, or the group has a worker in service that the router cannot use. Where neither is so,
        the group is replacing workers that nobody asks for, and a replacement that fails is a boot failure.
        """
        at = self._watch.metrics
        text = "No worker of the pool can serve: requests are refused, or workers in service do not answer the router."
        self._alarm("no-worker", text, holds(EMPTY_MINUTES)).on_expression(
            self,
            "no-worker",
            "IF(ready < 1 AND (FILL(rate, 0) > 0 OR FILL(in_service, 0) > 0), 1, 0)",
            at.series("ready", metrics.READY_WORKERS, "Maximum"),
            at.series("rate", metrics.REQUEST_RATE, "Maximum"),
            at.group_series("in_service", "GroupInServiceInstances"),
        )


def _refused(model: str) -> str:
    return f'{{ $.message = "{REFUSED_LOG_MESSAGE}" && $.model_id = "{model}" }}'
