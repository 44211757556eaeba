"""The dated price catalogue: `settings/data/prices.csv`, and the GPU hosts' prices of `gpu_instances.csv`.

A price belongs to one region. There is no fallback to another: what is not there is `None`, and the bill says so.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from settings.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE = "data/prices.csv"
COLUMNS = ("region", "item", "usd", "unit", "date", "source")
HOURS_PER_MONTH = 730.0
"""As AWS's own calculator counts (365 x 24 / 12)."""
SHOWN = 3
GPU_SOURCE = "AWS price list, as in Karpenter's zz_generated.pricing_aws.go (settings/data/gpu_instances.csv)"


@dataclass(frozen=True)
class Price:
    """What one unit costs in one region: USD, the unit, the day of the price (ISO), and who told it."""

    region: str
    item: str
    usd: float
    unit: str
    date: str
    source: str

    @property
    def hours(self) -> float:
        """Hours that the unit lasts: 730 for a month, 1 for the rest, which is counted for each hour."""
        return HOURS_PER_MONTH if self.unit.endswith("-month") else 1.0


@dataclass(frozen=True)
class PriceList:
    """Prices by region and item."""

    prices: Mapping[tuple[str, str], Price]

    def find(self, region: str, item: str) -> Price | None:
        """Return the price of an item in a region, None when the catalogue has none there."""
        return self.prices.get((region, item))

    def regions(self, item: str) -> tuple[str, ...]:
        """Return the regions in which an item has a price."""
        return tuple(sorted(region for region, name in self.prices if name == item))

    def why_not(self, region: str, *items: str) -> str:
        """Return the sentence for items without a price in a region, with the remedy."""
        known = sorted({other for item in items for other in self.regions(item)})
        elsewhere = f"it has them for {', '.join(known)}" if known else "it has them for no region"
        names = ", ".join(items[:SHOWN]) + (f" and {len(items) - SHOWN} more" if len(items) > SHOWN else "")
        return f"no price in {region} for {names}: {elsewhere}; `fleet prices --region {region} --write` reads them"

    def updated(self, read: Iterable[Price]) -> PriceList:
        """Return the list with what was read put in, each price in place of the one it had."""
        return PriceList(MappingProxyType({**self.prices, **{(one.region, one.item): one for one in read}}))


@cache
def price_list() -> PriceList:
    """Return the committed catalogue: GPU hosts first, then what `prices.csv` has of its own or newer."""
    known = catalogue()
    gpus = (
        Price(known.price_region, f"ec2/{name}", one.usd_per_hour, "hour", known.price_date, GPU_SOURCE)
        for name, one in known.instances.items()
        if one.usd_per_hour is not None
    )
    return PriceList(MappingProxyType({})).updated(gpus).updated(parse(_text()))


def _text() -> str:
    return files("settings").joinpath(FILE).read_text(encoding="utf-8")


def parse(text: str) -> tuple[Price, ...]:
    """Return the rows of a price file."""
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Price(row["region"], row["item"], float(row["usd"]), row["unit"], row["date"], row["source"]) for row in rows
    )


def rewritten(text: str, read: Iterable[Price]) -> str:
    """Return a price file with what was read put in: by region and item, comments kept, the rest untouched."""
    rows = {(one.region, one.item): one for one in (*parse(text), *read)}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for _, one in sorted(rows.items()):
        writer.writerow((one.region, one.item, f"{one.usd:.10g}", one.unit, one.date, one.source))
    comments = [line for line in text.splitlines() if line.startswith("#")]
    return "\n".join([*comments, out.getvalue()])
