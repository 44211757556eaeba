"""Logs Insights queries that answer what is asked first, in the words that the hosts' programs log.

The formats: a line of the agent is JSON with `level` (info, warning, error) and `event`; one of the router (smg with
--log-json, measured with 1.13.0) is JSON with `level` (INFO, WARN, ERROR), `message`, and `span.latency` in
microseconds; one of the engine is text. A stream's name is INSTANCE_ID/PROGRAM.
"""

from __future__ import annotations

from dataclasses import dataclass

TROUBLE = "filter level in ['warning', 'error', 'WARN', 'ERROR'] or @message like /(WARNING|ERROR|Traceback)/"
NEWEST_FIRST = "sort @timestamp desc"


@dataclass(frozen=True)
class SavedQuery:
    """A query under its name, over these log groups."""

    name: str
    log_groups: tuple[str, ...]
    steps: tuple[str, ...]

    @property
    def text(self) -> str:
        """The query as CloudWatch takes it."""
        return "\n| ".join(self.steps)


def saved_queries(router_log: str, pool_logs: tuple[str, ...]) -> tuple[SavedQuery, ...]:
    """Every query that is saved for a deployment."""
    return (
        SavedQuery("warnings", (router_log, *pool_logs), warnings()),
        SavedQuery("boot-phases", pool_logs, boot_phases()),
        SavedQuery("given-up", pool_logs, given_up()),
        SavedQuery("drains", pool_logs, drains()),
        SavedQuery("discovery", (router_log,), discovery()),
        SavedQuery("router-errors", (router_log,), router_errors()),
        SavedQuery("slowest-requests", (router_log,), slowest_requests()),
    )


def warnings(limit: int = 200) -> tuple[str, ...]:
    """What any program warned of, newest first."""
    return ("fields @timestamp, @logStream, @message", TROUBLE, NEWEST_FIRST, f"limit {limit}")


def boot_phases() -> tuple[str, ...]:
    """How long each phase of a boot took, in seconds since the host's start: the source of instance_warmup_seconds."""
    seconds = "avg(host_uptime_seconds), pct(host_uptime_seconds, 90), max(host_uptime_seconds)"
    return ("filter event = 'boot_phase'", f"stats count(*), {seconds} by phase")


def given_up() -> tuple[str, ...]:
    """Workers that gave up, and why."""
    events = "['worker_not_ready', 'worker_unhealthy', 'replacement_asked']"
    fields = "fields @timestamp, @logStream, event, reason, last_failure"
    return (fields, f"filter event in {events} or @message like /powering off/", NEWEST_FIRST)


def drains() -> tuple[str, ...]:
    """How workers left: how long a drain took, and what was cut."""
    events = "['drain_started', 'drain_ended', 'drain_cut', 'engine_ended_in_drain', 'spot_notice']"
    fields = "fields @timestamp, @logStream, event, seconds, spot, reason"
    return (fields, f"filter event in {events}", NEWEST_FIRST)


def discovery() -> tuple[str, ...]:
    """Which workers came into routing and went."""
    fields = "fields @timestamp, level, event, @message"
    return (fields, "filter @logStream like /discovery/", NEWEST_FIRST, "limit 500")


def router_errors() -> tuple[str, ...]:
    """What the router answered with an error, by reason."""
    fields = "fields @timestamp, level, message, model_id, span.path, span.status_code"
    kinds = "filter level in ['WARN', 'ERROR']"
    return (fields, kinds, "stats count(*) by message, model_id, span.status_code", "sort `count(*)` desc")


def slowest_requests() -> tuple[str, ...]:
    """The requests that took longest, in seconds."""
    fields = "fields @timestamp, span.latency / 1000000 as seconds, span.path, span.status_code, span.request_id"
    return (fields, "filter ispresent(span.latency)", "sort seconds desc", "limit 50")
