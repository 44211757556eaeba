"""What a deployment uses and no setting says: traffic, log lines, launches. Every default is marked with its source."""

from __future__ import annotations

from dataclasses import dataclass, field

from settings.costs.amount import Amount


@dataclass(frozen=True)
class Usage:
    """Assumptions of a bill, each for one host that runs unless it says otherwise."""

    log_gb_per_host_hour: float = 0.01
    """Assumption: an engine that logs a batch of decodes every 40 steps and a router that logs each request write
    about a quarter of a GB a day."""
    flow_log_gb_per_host_hour: float = 0.005
    """Assumption: one record of 0.1 kB for each connection and minute."""
    stored_share: float = 0.15
    """Log events are compressed before they are stored: 0.15 is what AWS's own calculator takes."""
    api_gb_per_host_hour: float = 0.002
    """Assumption: calls of AWS APIs (metrics every 10 s, discovery every 2 s), both directions."""
    requests_per_host_hour: float = 360 + 60
    """PutMetricData: the programs every 10 s, the CloudWatch agent every 60 s (docs/metrics.md)."""
    launches_per_worker_day: Amount = field(default_factory=lambda: Amount(0, 1, 1))
    """Assumption: a pool at its least size launches nobody; else each worker is replaced once a day by scaling."""
    capacity_units: Amount = field(default_factory=lambda: Amount(0, 0.1, 1))
    """Assumption: streams of text stay far below one NLCU (1 GB an hour, 100,000 flows)."""


HOURS_PER_DAY = 24
DETAILED_METRICS = 7
"""EC2's detailed monitoring is charged as so many metrics of an instance (CloudWatch pricing page)."""
FREE_IOPS = 3000
FREE_THROUGHPUT_MIB = 125
"""What every gp3 volume has without a charge (EBS pricing page)."""
REQUESTS_PER_UNIT = 1000

NOT_COUNTED = (
    "traffic between zones (0.01 USD per GB and direction: requests to workers in another zone than the router's)",
    "traffic out of AWS",
    "the state bucket, parameters, secrets, mails, queries of logs: together cents",
    "a bake's own host, and images of earlier bakes (`fleet images` shows them)",
    "free tiers, credits, savings plans, taxes",
)
"""What a bill leaves out, to be told beside it."""
