"""Settings of a pool's scaling. docs/scaling.md says how they work together and where each number comes from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from settings.base import Name, Seconds, Section
from settings.cron import checked_recurrence

Recurrence = Annotated[
    str,
    BeforeValidator(checked_recurrence, json_schema_input_type=str),
    Field(examples=["0 8 * * MON-FRI"]),
]
TimeZone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"), Field(examples=["UTC"])]


class ScheduleSettings(Section):
    """One `[[workers.scaling.schedules]]` entry: from this time on, other limits."""

    name: Name = Field(description="Name of the schedule.", examples=["office-hours"])
    recurrence: Recurrence = Field(description="When, as a cron line: minute, hour, day of month, month, day of week.")
    time_zone: TimeZone = Field(default="UTC", description="Time zone of the recurrence, like Europe/Berlin.")
    min_size: Annotated[int, Field(ge=0, le=1000)] = Field(description="Workers at least from then on.", examples=[3])
    max_size: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Workers at most from then on; default: stays as it is."
    )


class ScalingSettings(Section):
    """When the pool grows and shrinks."""

    target_load: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="Running plus queued requests per ready worker that target tracking holds."
    )
    target_prompt_load: Annotated[float, Field(ge=0)] = Field(
        default=65.0,
        description="How much of a worker's time computing prompts may take, in percent of what its answers bear; "
        "target tracking holds it, 0 switches it off.",
    )
    prompt_tokens_per_second: Annotated[float, Field(gt=0)] = Field(
        default=2200.0, description="Prompt tokens that one worker computes, to be measured for the model and GPU."
    )
    token_seconds: Annotated[float, Field(gt=0)] = Field(
        default=0.030, description="From one token to the next of a single answer on an idle worker."
    )
    token_limit_seconds: Annotated[float, Field(gt=0)] = Field(
        default=0.060, description="The mean time between two tokens that nine answers of ten shall keep."
    )
    kv_usage_high_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=90,
        description="Mean KV memory in use at which one worker more is started, in percent; 0 switches it off.",
    )
    scale_in_load_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=85,
        description="One worker may leave while the others would have less than this percentage of both targets.",
    )
    scale_in_cooldown_seconds: Seconds = Field(
        default=120, description="Quiet time: how long that must hold, with the same workers, before one leaves."
    )
    # Longer than the 90 s that the prompt load looks back; a boot is over before: docs/scaling.md.
    instance_warmup_seconds: Seconds = Field(
        default=120,
        description="Time from in service until a worker carries load; until then none is added for it.",
    )
    schedules: tuple[ScheduleSettings, ...] = Field(
        default=(), description="Other limits at certain times, like a higher minimum in office hours."
    )
