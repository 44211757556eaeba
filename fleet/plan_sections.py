"""The sections of `fleet plan` that know the settings: fit, cost, boot, with what hosts have logged of their boots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from fleet.boot_phases import phases_logged
from fleet.simulated_load import read_load
from plans.section_boot import Logged, boot_section
from plans.section_cost import planned_cost, settings_cost
from plans.section_fit import fit_section

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mypy_boto3_logs import CloudWatchLogsClient

    from plans.change import StackPlan
    from plans.sections import Section
    from settings.costs.tokens import Load
    from settings.model import Settings

LOOKED_BACK = timedelta(days=14)
"""Older boots were of other images or volumes (our choice)."""


def load_of(settings: Settings, file: Path | None) -> Load | None:
    """Return the load of a `fleet simulate --json`, which plays the first pool.

    Raises:
        SettingsError: the file is not of it.
    """
    return read_load(file, settings.workers[0].name) if file else None


def logged_boots(settings: Settings, client: CloudWatchLogsClient) -> Logged:
    """Return what every pool's agents logged lately; what cannot be read is a note, since a plan does not need it."""
    since = datetime.now(UTC) - LOOKED_BACK
    try:
        phases = {pool.name: phases_logged(settings, pool, since, client) for pool in settings.workers}
    except (ClientError, BotoCoreError) as error:
        return Logged(notes=(f"what hosts logged of their boots cannot be read: {error}",))
    if any(phases.values()):
        return Logged(phases)
    return Logged(notes=(f"no host has logged a boot in {LOOKED_BACK.days} days: only the prediction",))


def of_settings(
    settings: Settings, plans: Sequence[StackPlan], logged: Logged, load: Load | None = None
) -> tuple[Section, ...]:
    """Return the sections of a deployment as the settings make it."""
    pools = settings.workers
    return (fit_section(pools), settings_cost(settings, plans, load), boot_section(pools, logged))


def of_plans(plans: Sequence[StackPlan]) -> tuple[Section, ...]:
    """Return what plans tell alone."""
    return (planned_cost(plans),)
