"""The load of a `fleet simulate --json`: what the cost of a million tokens is worked out from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from settings.costs.tokens import Load
from settings.errors import Fault, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

OPTION = "--load"
REMEDY = "make it with `fleet simulate --trace TRACE --json > FILE`"
OURS = "ours"
"""As `fleet simulate` names it (`simulator.recipes`, which this command need not wait for)."""
HOUR = 3600


class _Row(BaseModel):
    """One policy; fields that are not needed here are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    policy: str
    gpu_hours: float = Field(gt=0)
    prompt_tokens: int = Field(ge=0)
    output_tokens: int = Field(gt=0)


class _Simulation(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    seconds: float = Field(gt=0)
    policies: tuple[_Row, ...] = Field(min_length=1)


def read_load(file: Path, pool: str, policy: str = OURS) -> Load:
    """Return the load of a pool under a policy, by default the one that the stacks set up.

    Raises:
        SettingsError: the file cannot be read, is not of `fleet simulate --json`, or does not have the policy.
    """
    rows = _simulation(file)
    row = next((one for one in rows.policies if one.policy == policy), None)
    if row is None:
        known = ", ".join(one.policy for one in rows.policies)
        raise _refused(file, f"has no policy {policy!r}", f"name one of {known}")
    return Load(pool, rows.seconds / HOUR, row.gpu_hours, row.output_tokens, row.prompt_tokens)


def _simulation(file: Path) -> _Simulation:
    try:
        return _Simulation.model_validate_json(file.read_bytes())
    except OSError as error:
        raise _refused(file, f"cannot be read: {error.strerror}", REMEDY) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the text"
        rule = f"is not what `fleet simulate --json` writes ({where}: {first['msg']})"
        raise _refused(file, rule, REMEDY) from None


def _refused(file: Path, rule: str, remedy: str) -> SettingsError:
    return SettingsError([Fault(OPTION, str(file), rule, remedy)])
