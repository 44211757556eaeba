"""Settings of the alarms: from where on somebody is told. Who: `logs.alarm_email`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settings.base import Section


class AlarmSettings(Section):
    """Thresholds of the alarms; docs/scaling.md says for each what to do."""

    error_rate_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        default=5.0, description="Share of answers with a status of 500 and above, in percent of a minute's answers."
    )
    time_to_first_token_seconds: Annotated[float, Field(gt=0)] = Field(
        default=2.0,
        description="Time to first token that nine of ten requests keep; the default is what scaling aims at.",
    )
    log_gib_per_day: Annotated[float, Field(gt=0)] = Field(
        default=5.0, description="GiB that one log group may receive in a day (5 GiB cost about 75 USD a month)."
    )
