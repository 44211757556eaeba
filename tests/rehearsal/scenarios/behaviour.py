"""How a made-up fleet behaves, and what it is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Behaviour:
    """How a fleet behaves; the defaults are good. Times in seconds; None means never."""

    boot: float | None = 6.0
    routed_after: float = 0.5
    """From InService."""
    unrouted_after: float = 1.0
    """From Terminating."""
    drains: bool = True
    hook_after: float = 1.0
    """From the end of the last request."""
    hook_words: str = "requests-finished"
    beats: bool = True
    longest: float = math.inf
    launches_for_the_gone: bool = False
    weight_of_new: float = 1.0
    """Part of the requests that a new worker gets, relative to the old ones."""
    cached_after_growth: int = 480
    """Of the 600 tokens of a prompt."""
    refresh_at_once: bool = False
    refresh_forgets: int = 0
    restarts_after: float | None = 10.0
    hang_ends_after: float = 30.0
    dead_unrouted_after: float = 3.0
    loses_unanswered: bool = False
    broken_gets_ready: bool = False
    says_why: bool = True
    gives_up_after: float = 320.0
    router_back_after: float | None = 2.0
    """From its process's death, or from the end of its host."""
    notices_aws: bool = True
    aws_back_after: float = 1.0
    outage_takes: Literal["nothing", "routing", "service"] = "nothing"
    uses_full_zone: bool = False
    says_capacity: bool = True
    grows: Literal["router", "worker"] | None = None
    """Whose memory does."""
    router_is_seen: bool = True
    """Of each program's memory of 1000."""
    order_takes: float = 0.0
    """Until the answer to an order is back; what the order breaks was broken before."""
    loses_first: bool = False
    idle_slots: int = 0
    decides_after: float = 27.0
    """From the moment that the load is above the target."""
    shrinks_after: float | None = 60.0
    """From the moment that the load is below half of it; one worker at a time."""
    fidgets: Literal["never", "on a steady load", "after the load fell"] = "never"
    """When it grows for no reason."""


@dataclass
class Worker:
    """One host; `alive` is whether its engine answers."""

    id: str
    url: str
    zone: str
    state: str = "Pending:Wait"
    routed: bool = False
    alive: bool = True
    hung: bool = False
    broken: bool = False
    new: bool = True
    let_go: bool = False


@dataclass
class Flight:
    """A request that has not ended."""

    worker: Worker
    sent: float
    first_byte: float
    ends: float
    cached: int
