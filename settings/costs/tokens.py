"""USD per million tokens at a stated load. The load's figures come from `fleet simulate`; nothing is simulated here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.costs.charge import bill_of
from settings.costs.estate import estate_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.costs.bill import Total
    from settings.costs.prices import PriceList
    from settings.model import Settings

MILLION = 1_000_000


@dataclass(frozen=True)
class Load:
    """What a simulation says of one pool: hours simulated, worker hours charged, tokens answered and read.

    `gpu_hours` is the simulator's name for worker hours (hosts, not GPUs).
    """

    pool: str
    hours: float
    gpu_hours: float
    output_tokens: int
    input_tokens: int = 0

    @property
    def workers(self) -> float:
        """Mean workers."""
        return self.gpu_hours / self.hours


@dataclass(frozen=True)
class TokenCost:
    """What a load costs: USD per hour of everything, tokens per hour, USD per million of them (None: no price)."""

    total: Total
    output_tokens_per_hour: float
    usd_per_million_output: float | None

    def __str__(self) -> str:
        """Say it in one line."""
        if self.usd_per_million_output is None:
            return f"USD per million output tokens: unknown ({self.total})"
        rate = f"{self.output_tokens_per_hour / MILLION:.2f} million an hour"
        return f"{self.usd_per_million_output:.2f} USD per million output tokens at {rate}"


def token_cost(
    settings: Settings, load: Load, model_bytes: Mapping[str, int] | None = None, prices: PriceList | None = None
) -> TokenCost:
    """Return what a million output tokens cost: the whole deployment's bill with the load's mean of workers.

    Input tokens are not charged apart: a deployment pays for hours. Other pools count as they are expected.

    Raises:
        ValueError: the load has no hours or no output tokens.
    """
    if load.hours <= 0 or load.output_tokens <= 0:
        raise ValueError(f"load of pool {load.pool!r}: needs hours and output tokens above 0")
    estate = estate_of(settings, model_bytes, {load.pool: load.workers})
    total = bill_of(estate, prices=prices).total("expected")
    per_hour = load.output_tokens / load.hours
    figure = total.usd_per_hour / per_hour * MILLION if total.is_complete else None
    return TokenCost(total, per_hour, figure)
