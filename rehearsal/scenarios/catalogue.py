"""All scenarios, in the order in which `--all` plays them."""

from __future__ import annotations

from rehearsal.scenarios.play import Scenario
from rehearsal.scenarios.plays.aws_faults import API_DOWN, API_SLOW, API_THROTTLED, CAPACITY, METADATA_DOWN
from rehearsal.scenarios.plays.load_step import LOAD_STEP
from rehearsal.scenarios.plays.replay import REPLAY
from rehearsal.scenarios.plays.rollout import ROLLOUT
from rehearsal.scenarios.plays.router_faults import ROUTER_KILLED, ROUTER_REPLACED
from rehearsal.scenarios.plays.scale_in import LONG_STREAM, SCALE_IN
from rehearsal.scenarios.plays.scale_out import SCALE_OUT
from rehearsal.scenarios.plays.soak import SOAK
from rehearsal.scenarios.plays.spot import SPOT
from rehearsal.scenarios.plays.worker_faults import HUNG, KILLED, NEVER_READY

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        SCALE_IN,
        LONG_STREAM,
        SCALE_OUT,
        LOAD_STEP,
        REPLAY,
        ROLLOUT,
        SPOT,
        KILLED,
        HUNG,
        NEVER_READY,
        ROUTER_KILLED,
        ROUTER_REPLACED,
        API_DOWN,
        API_THROTTLED,
        API_SLOW,
        METADATA_DOWN,
        CAPACITY,
        SOAK,
    )
}
