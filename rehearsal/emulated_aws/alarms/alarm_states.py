"""CloudWatch alarms that are evaluated: their state, its reason, their history, and what they set off.

What moto 5.2.5 does instead: an alarm begins as OK and only SetAlarmState changes it, no action is ever invoked, an
update forgets the state, and DescribeAlarmHistory is not known.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricDataQuery, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.sns.models import sns_backends

from rehearsal.emulated_aws.alarms import metric_math, statistics
from rehearsal.emulated_aws.alarms.evaluation import COMPARISONS, REPEAT_SECONDS, Missing, Rule, State, evaluate
from rehearsal.emulated_aws.alarms.metric_math_parser import MetricMathError
from rehearsal.emulated_aws.alarms.metric_store import MetricId, Query, common_period, store_of
from rehearsal.emulated_aws.extension import add, extend
from rehearsal.emulated_aws.scaling_groups import WORLD
from rehearsal.places import ACCOUNT_ID

log = logging.getLogger(__name__)

INITIAL_REASON = "Unchecked: Initial alarm creation"
HISTORY_KEPT = 200
SNS, AUTO_SCALING = ":sns:", ":autoscaling:"


@dataclass
class Watch:
    """What is remembered of an alarm from one evaluation to the next."""

    slot: int | None = None
    acted: datetime | None = None
    value: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Signal:
    """An alarm that tells a scaling policy its state."""

    alarm: str
    policy: str
    state: State
    value: float | None
    threshold: float
    above: bool


POLICIES: list[Callable[[str, Signal], None]] = []
"""Who carries a signal out, given the region; `policies.install` adds it."""


def watch_of(alarm: Alarm) -> Watch:
    """The watch kept over an alarm."""
    found: Watch | None = getattr(alarm, "rehearsal_watch", None)
    if found is None:
        found = Watch()
        setattr(alarm, "rehearsal_watch", found)  # noqa: B010 - moto's class does not declare it
    return found


def queries_of(alarm: Alarm) -> tuple[Query, ...]:
    """What an alarm looks at: its one metric, or its metrics and expressions."""
    if alarm.metric_data_queries:
        return tuple(_query(one) for one in alarm.metric_data_queries)
    dimensions = [{"Name": str(one.name), "Value": str(one.value)} for one in alarm.dimensions]
    metric = MetricId.of(alarm.namespace, alarm.metric_name, dimensions)
    statistic = alarm.extended_statistic or alarm.statistic or "Average"
    return (Query("m1", metric, statistic, int(alarm.period), alarm.unit),)


def _query(one: MetricDataQuery) -> Query:
    returned = str(one.return_data).lower() != "false"  # moto keeps the request's value, None when it is not given
    if one.metric_stat is None:
        return Query(one.id, expression=one.expression, period=int(one.period or 0), returned=returned)
    stat = one.metric_stat
    dimensions = [{"Name": str(d.name), "Value": str(d.value)} for d in stat.metric.dimensions]
    metric = MetricId.of(stat.metric.namespace, stat.metric.metric_name, dimensions)
    return Query(one.id, metric, stat.stat, int(stat.period), stat.unit, returned=returned)


def rule_of(alarm: Alarm) -> Rule:
    """When an alarm goes off."""
    periods = int(alarm.evaluation_periods)
    return Rule(
        alarm.comparison_operator,
        float(alarm.threshold),
        common_period(queries_of(alarm)),
        periods,
        int(alarm.datapoints_to_alarm or periods),
        cast("Missing", alarm.treat_missing_data or "missing"),
    )


def check(alarm: Alarm) -> None:
    """Refuse an alarm that cannot be evaluated (API_PutMetricAlarm.html).

    Raises:
        ValidationError: as AWS says it, or because it is beyond what is emulated.
    """
    queries = queries_of(alarm)
    if alarm.comparison_operator not in COMPARISONS:
        raise ValidationError(f"The comparison operator {alarm.comparison_operator} is not supported here.")
    if alarm.treat_missing_data not in {None, "missing", "notBreaching", "breaching", "ignore"}:
        raise ValidationError(f"Option {alarm.treat_missing_data} is not supported for parameter TreatMissingData.")
    if sum(query.returned for query in queries) != 1:
        raise ValidationError("Exactly one element of the metrics list should return data.")
    points = int(alarm.datapoints_to_alarm or alarm.evaluation_periods)
    if not 1 <= points <= int(alarm.evaluation_periods):
        raise ValidationError("The parameter DatapointsToAlarm must not be greater than EvaluationPeriods.")
    try:
        for query in queries:
            if query.expression is None:
                statistics.check(query.statistic, query.period)
            else:
                metric_math.check(query.expression, (one.id for one in queries))
    except (MetricMathError, statistics.StatisticError) as error:
        raise ValidationError(str(error)) from error


def _put_metric_alarm(self: CloudWatchBackend, name: str, **given: Any) -> Alarm:  # noqa: ANN401 - handed through
    """A new alarm has no data yet; an update leaves the state as it was (API_PutMetricAlarm.html)."""
    with WORLD.lock:
        before = self.alarms.get(name)
        alarm: Alarm = _moto_put(self, name=name, **given)
        alarm.state_reason, alarm.state_value = INITIAL_REASON, State.INSUFFICIENT_DATA
        if alarm.rule is not None:
            return alarm
        try:
            check(alarm)
        except ValidationError:
            self.alarms.pop(name)
            if before is not None:
                self.alarms[name] = before
            raise
        if before is not None:
            alarm.state_value, alarm.state_reason = before.state_value, before.state_reason
            alarm.state_reason_data, alarm.state_updated_timestamp = (
                before.state_reason_data,
                before.state_updated_timestamp,
            )
            watch_of(alarm).history = watch_of(before).history
        return alarm


def _set_alarm_state(self: CloudWatchBackend, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
    """API_SetAlarmState.html: the actions of the state are invoked; the next evaluation may change it back."""
    with WORLD.lock:
        before = self.alarms[alarm_name].state_value if alarm_name in self.alarms else None
        _moto_set(self, alarm_name, reason, reason_data, state_value)
        alarm = self.alarms[alarm_name]
        if before != state_value:
            _changed(alarm, str(before), WORLD.clock.now())


def evaluate_alarms(region: str) -> None:
    """Evaluate the alarms of a region that are due: every 10 s or every minute (`Rule.interval`)."""
    backend: CloudWatchBackend = cloudwatch_backends[ACCOUNT_ID][region]
    now = WORLD.clock.now()
    for alarm in list(backend.alarms.values()):
        if alarm.rule is None and alarm.name in backend.alarms:
            _evaluate_due(backend, alarm, now)


def _evaluate_due(backend: CloudWatchBackend, alarm: Alarm, now: datetime) -> None:
    rule, watch = rule_of(alarm), watch_of(alarm)
    slot = int(now.timestamp() // rule.interval)
    if watch.slot == slot:
        return
    watch.slot = slot
    queries = queries_of(alarm)
    wanted = next(query.id for query in queries if query.returned)
    window = rule.window(now.timestamp())
    series = store_of(backend).answer(queries, wanted, window)
    before = State(alarm.state_value)
    verdict = evaluate(rule, window, series, before)
    watch.value = verdict.latest
    if verdict.state is not before:
        shown = {"recentDatapoints": [value for _, value in verdict.values], "threshold": rule.threshold}
        alarm.update_state(verdict.reason, json.dumps(shown), verdict.state.value)
        _changed(alarm, before.value, now)
    elif watch.acted is None or now >= watch.acted + timedelta(seconds=REPEAT_SECONDS):
        _invoke(alarm, before.value, now, repeated=True)


def _changed(alarm: Alarm, before: str, now: datetime) -> None:
    watch = watch_of(alarm)
    alarm.state_updated_timestamp = now.replace(tzinfo=None)  # as moto keeps it
    summary = f"Alarm updated from {before} to {alarm.state_value}"
    watch.history.append(_item(alarm, "StateUpdate", summary, now))
    log.info("alarm %s: %s. %s", alarm.name, summary, alarm.state_reason)
    _invoke(alarm, before, now, repeated=False)


def _item(alarm: Alarm, kind: str, summary: str, now: datetime) -> dict[str, Any]:
    del watch_of(alarm).history[:-HISTORY_KEPT]
    return {
        "AlarmName": alarm.name,
        "AlarmType": "MetricAlarm",
        "Timestamp": now,
        "HistoryItemType": kind,
        "HistorySummary": summary,
        "HistoryData": json.dumps({"stateReason": alarm.state_reason}),
    }


def _invoke(alarm: Alarm, before: str, now: datetime, *, repeated: bool) -> None:
    """Invoke the actions of an alarm's state; while it stays, every minute those of Auto Scaling only.

    alarm-actions.html.
    """
    watch = watch_of(alarm)
    watch.acted = now
    actions = {
        State.OK: alarm.ok_actions,
        State.ALARM: alarm.alarm_actions,
        State.INSUFFICIENT_DATA: alarm.insufficient_data_actions,
    }[State(alarm.state_value)]
    for action in actions if alarm.actions_enabled else ():
        if AUTO_SCALING in action:
            above = alarm.comparison_operator.startswith("Greater")
            state = State(alarm.state_value)
            signal = Signal(alarm.name, action, state, watch.value, float(alarm.threshold), above)
            for carry_out in POLICIES:
                carry_out(alarm.region_name, signal)
        elif SNS in action and not repeated:
            _publish(alarm, action, before, now)
        if not repeated:
            watch.history.append(_item(alarm, "Action", f"Successfully executed action {action}", now))


def _publish(alarm: Alarm, topic: str, before: str, now: datetime) -> None:
    """A message as Amazon SNS delivers it for an alarm (US_SetupSNS.html)."""
    backend = sns_backends[ACCOUNT_ID][topic.split(":")[3]]
    if topic not in backend.topics:
        log.warning("alarm %s: there is no topic %s", alarm.name, topic)
        return
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": ACCOUNT_ID,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": now.isoformat(),
        "Region": alarm.region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
    }
    subject = f'{alarm.state_value}: "{alarm.name}" in {alarm.region_name}'
    backend.topics[topic].publish(json.dumps(message), subject=subject[:100])


def _describe_alarm_history(self: CloudWatchResponse) -> ActionResult:
    """API_DescribeAlarmHistory.html: the newest first."""
    name, kind = self._get_param("AlarmName"), self._get_param("HistoryItemType")
    with WORLD.lock:
        alarms = [alarm for alarm in self.cloudwatch_backend.alarms.values() if name in {None, alarm.name}]
        items = [item for alarm in alarms for item in watch_of(alarm).history]
    chosen = [item for item in items if kind in {None, item["HistoryItemType"]}]
    chosen.sort(key=lambda item: item["Timestamp"], reverse=self._get_param("ScanBy") != "TimestampAscending")
    return ActionResult({"AlarmHistoryItems": chosen[: self._get_int_param("MaxRecords") or len(chosen)]})


_moto_put = CloudWatchBackend.put_metric_alarm
_moto_set = CloudWatchBackend.set_alarm_state


def install() -> None:
    """Have alarms evaluated by `evaluate_alarms`."""
    extend(CloudWatchBackend, "put_metric_alarm", _put_metric_alarm)
    extend(CloudWatchBackend, "set_alarm_state", _set_alarm_state)
    add(CloudWatchResponse, "describe_alarm_history", _describe_alarm_history)
