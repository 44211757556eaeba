"""How long a scenario takes and how much it sends: the full size, or a short one for every run of the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rehearsal.cloud_config import EmulatorValue
from rehearsal.scenarios.prompts import LoadPlan

PaceName = Literal["full", "short", "real"]

# One request's speed on the emulated engines: slow enough that 200 streams, the router, four engines and the client
# share two cores (it is not the speed of any GPU).
TOKENS_PER_SECOND = 8.0
EMULATOR: Mapping[str, EmulatorValue] = {
    "rates": {"decode_step_seconds": 1 / TOKENS_PER_SECOND, "decode_sequence_seconds": 0.0},
    "health_seconds": 0.1,
}


@dataclass(frozen=True)
class Pace:
    """Times in seconds."""

    name: PaceName
    workers: int
    """Workers that serve at the beginning and at the end of every scenario."""
    concurrency: int
    stream_seconds: tuple[float, float]
    plain_seconds: tuple[float, float]
    settle_seconds: float
    """Load before something happens, and after it."""
    outage_seconds: float
    """AWS API down."""
    metadata_outage_seconds: float
    observe_seconds: float
    """How a fleet that has changed is looked at."""
    soak_seconds: float
    steady_seconds: float
    """A load that stays as it is, on which a group may not change."""
    replay_seconds: tuple[float, float, float]
    """Parts of the replayed trace: few requests, four times as many, few."""
    router_back_seconds: float = 5.0
    """Until a router whose process was killed serves again."""
    tokens_per_second: float = TOKENS_PER_SECOND
    prefix_tokens: int = 512
    prefix_groups: int = 40
    """A worker that joins meets each for the first time: fewer where it is looked at for a shorter time."""
    ramp_seconds: float = 5.0

    @property
    def fewer(self) -> int:
        """Workers while the group is shrunk."""
        return self.workers // 2

    def plan(self, name: str, models: tuple[str, ...], *, text_known: bool) -> LoadPlan:
        """The load of one scenario."""
        return LoadPlan(
            name=name,
            models=models,
            concurrency=self.concurrency,
            stream_seconds=self.stream_seconds,
            plain_seconds=self.plain_seconds,
            tokens_per_second=self.tokens_per_second,
            prefix_tokens=self.prefix_tokens,
            prefix_groups=self.prefix_groups,
            ramp_seconds=self.ramp_seconds,
            text_known=text_known,
        )


PACES: Mapping[PaceName, Pace] = {
    "full": Pace(
        name="full",
        workers=4,
        concurrency=210,
        stream_seconds=(5.0, 60.0),
        plain_seconds=(1.0, 5.0),
        settle_seconds=20.0,
        outage_seconds=600.0,
        metadata_outage_seconds=120.0,
        observe_seconds=60.0,
        soak_seconds=1800.0,
        steady_seconds=600.0,
        replay_seconds=(120.0, 300.0, 300.0),
    ),
    "short": Pace(
        name="short",
        workers=4,
        concurrency=48,
        stream_seconds=(2.0, 8.0),
        plain_seconds=(0.5, 2.0),
        settle_seconds=2.0,
        outage_seconds=6.0,
        metadata_outage_seconds=6.0,
        observe_seconds=9.0,
        soak_seconds=180.0,
        steady_seconds=60.0,
        replay_seconds=(30.0, 90.0, 30.0),
        router_back_seconds=10.0,  # four rehearsals and a bake share two cores in `make test`: 3 to 6.5 s seen
        prefix_groups=10,
        ramp_seconds=2.0,
    ),
    # Real SGLang on CPU: 2 GB for each engine, whose model is tiny and whose context is short.
    "real": Pace(
        name="real",
        workers=2,
        concurrency=12,
        stream_seconds=(1.0, 4.0),
        plain_seconds=(0.5, 2.0),
        settle_seconds=8.0,
        outage_seconds=12.0,
        metadata_outage_seconds=12.0,
        observe_seconds=15.0,
        soak_seconds=180.0,
        steady_seconds=60.0,
        replay_seconds=(30.0, 90.0, 30.0),
        tokens_per_second=20.0,
        prefix_tokens=64,
    ),
}
